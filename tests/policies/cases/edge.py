"""The way in as the AWS targets register it, and an Ingress as the cluster target does."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme

from policies.values import UNKNOWN

REDIRECT = {"type": "redirect", "redirect": {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"}}
FORWARD = {"type": "forward", "targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/a/1"}
POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
PREFIX = "metadata/annotations"

THEME = Theme(
    good={
        "balancer": Good(
            type="aws:lb/loadBalancer:LoadBalancer",
            properties={
                "internal": False,
                "loadBalancerType": "application",
                "accessLogs": {"bucket": "assistant-prod-access-logs", "prefix": "edge", "enabled": True},
                "dropInvalidHeaderFields": True,
                "enableDeletionProtection": True,
            },
        ),
        "http": Good(
            type="aws:lb/listener:Listener",
            properties={"port": 80, "protocol": "HTTP", "defaultActions": [REDIRECT], "loadBalancerArn": UNKNOWN},
            refers={"loadBalancerArn": ("balancer",)},
        ),
        "https": Good(
            type="aws:lb/listener:Listener",
            properties={
                "port": 443,
                "protocol": "HTTPS",
                "sslPolicy": POLICY,
                "defaultActions": [FORWARD],
                "loadBalancerArn": UNKNOWN,
            },
            refers={"loadBalancerArn": ("balancer",)},
        ),
        "by-port": Good(
            type="aws:lb/listener:Listener",
            properties={"port": 443, "sslPolicy": POLICY, "defaultActions": [FORWARD]},
        ),
        "generating": Good(
            type="aws:lb/listenerRule:ListenerRule",
            properties={"listenerArn": UNKNOWN, "actions": [FORWARD]},
            refers={"listenerArn": ("https",)},
        ),
        "plain-rule": Good(
            type="aws:lb/listenerRule:ListenerRule",
            properties={"listenerArn": UNKNOWN, "actions": [REDIRECT]},
            refers={"listenerArn": ("http",)},
        ),
        "targets": Good(
            type="aws:lb/targetGroup:TargetGroup",
            properties={
                "protocol": "HTTPS",
                "targetType": "ip",
                "healthCheck": {"protocol": "HTTPS", "path": "/readyz", "matcher": "200"},
            },
        ),
        "acl": Good(
            type="aws:wafv2/webAcl:WebAcl",
            properties={"defaultAction": {"allow": {}}, "rules": [{"name": "common", "priority": 0}]},
        ),
        "association": Good(
            type="aws:wafv2/webAclAssociation:WebAclAssociation",
            properties={"resourceArn": UNKNOWN, "webAclArn": UNKNOWN},
            refers={"resourceArn": ("balancer",), "webAclArn": ("acl",)},
        ),
        "logging": Good(
            type="aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
            properties={
                "resourceArn": UNKNOWN,
                "logDestinationConfigs": ["arn:aws:logs:eu-central-1:123456789012:log-group:aws-waf-logs-edge"],
                "loggingFilter": {"defaultBehavior": "DROP", "filters": [{"behavior": "KEEP"}]},
            },
            refers={"resourceArn": ("acl",)},
        ),
        "certificate": Good(
            type="aws:acm/certificate:Certificate",
            properties={
                "domainName": "assistant.example.com",
                "validationMethod": "DNS",
                "subjectAlternativeNames": ["api.example.com"],
            },
        ),
        "ingress": Good(
            type="kubernetes:networking.k8s.io/v1:Ingress",
            properties={
                "metadata": {"name": "gateway", "annotations": {"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"}},
                "spec": {
                    "tls": [{"hosts": ["assistant.example.com"], "secretName": "gateway-tls"}],
                    "rules": [{"host": "assistant.example.com"}],
                },
            },
        ),
        "gateway-api": Good(
            type="kubernetes:gateway.networking.k8s.io/v1:Gateway",
            properties={
                "spec": {"listeners": [{"protocol": "HTTPS", "port": 443, "tls": {"certificateRefs": [{"name": "a"}]}}]}
            },
        ),
    },
    cases={
        "R57": Cases(
            failing=(
                Bad("https", {"sslPolicy": "ELBSecurityPolicy-2016-08"}, "sslPolicy is ELBSecurityPolicy-2016-08, which"),
                Bad("https", {"sslPolicy": "ELBSecurityPolicy-TLS13-1-1-2021-06"}, "a version of TLS older than 1.2"),
                Bad("https", {"sslPolicy": None}, "sslPolicy is not set"),
                Bad("https", {"protocol": "HTTP"}, "defaultActions[0].type is forward; plain HTTP does nothing but redirect"),
                Bad("http", {"defaultActions/0": FORWARD}, "defaultActions[0].type is forward"),
                Bad("http", {"defaultActions/0/redirect/protocol": "HTTP"}, "leads to HTTP; it leads to HTTPS"),
                Bad("http", {"defaultActions/0/redirect/protocol": "#{protocol}"}, "it leads to HTTPS"),
                Bad("http", {"defaultActions/0/redirect/protocol": None}, "leads to the same protocol"),
                Bad("http", {"defaultActions/0/redirect": None}, "leads to the same protocol"),
                Bad("http", {"defaultActions/0/type": "fixed-response"}, "is fixed-response"),
                Bad("http", {"defaultActions": []}, "defaultActions is empty"),
                Bad("plain-rule", {"actions/0": FORWARD}, "actions[0].type is forward"),
                Bad("ingress", {"spec/tls": []}, "spec.tls is empty"),
                Bad("ingress", {"spec/tls": None}, "spec.tls is empty"),
                Bad("ingress", {"spec/rules/0/host": "other.example.com"}, "no entry for the host other.example.com"),
                Bad("ingress", {f"{PREFIX}": {"nginx.ingress.kubernetes.io/ssl-redirect": "False"}}, "lets plain HTTP through"),
                Bad(
                    "ingress",
                    {f"{PREFIX}": {"alb.ingress.kubernetes.io/ssl-policy": "ELBSecurityPolicy-2016-08"}},
                    "ssl-policy is ELBSecurityPolicy-2016-08",
                ),
                Bad(
                    "ingress",
                    {f"{PREFIX}": {"alb.ingress.kubernetes.io/listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]'}},
                    "listen-ports has HTTP",
                ),
                Bad("gateway-api", {"spec/listeners/0/tls": None}, "names no certificate"),
                Bad("gateway-api", {"spec/listeners/0/tls/certificateRefs": []}, "names no certificate"),
            ),
            unknown=("https", "sslPolicy"),
            malformed=("http", "defaultActions"),
        ),
        "R46": Cases(
            failing=(
                Bad("balancer", {"accessLogs": None}, "accessLogs is missing"),
                Bad("balancer", {"accessLogs/enabled": False}, "accessLogs.enabled is not true"),
                Bad("balancer", {"accessLogs/enabled": None}, "accessLogs.enabled is not true"),
                Bad("balancer", {"accessLogs/bucket": ""}, "accessLogs.bucket is empty"),
                Bad("balancer", {"accessLogs/bucket": None}, "accessLogs.bucket is empty"),
            ),
            unknown=("balancer", "accessLogs/enabled"),
            malformed=("balancer", "accessLogs"),
        ),
        "R58": Cases(
            failing=(
                Bad("balancer", {"dropInvalidHeaderFields": False}, "dropInvalidHeaderFields is not true"),
                Bad("balancer", {"dropInvalidHeaderFields": None}, "dropInvalidHeaderFields is not true"),
                Bad("balancer", {"enableDeletionProtection": False}, "enableDeletionProtection is not true"),
                Bad("balancer", {"enableDeletionProtection": None}, "enableDeletionProtection is not true"),
            ),
            unknown=("balancer", "dropInvalidHeaderFields"),
            malformed=("balancer", "enableDeletionProtection"),
        ),
        "R59": Cases(
            failing=(
                Bad("association", {}, "no web ACL stands before it", without=("association",)),
                Bad("logging", {}, "its web ACL acl is not logged", without=("logging",)),
                Bad("acl", {"rules": []}, "has no rule, and lets everything through"),
                Bad("acl", {"rules": None}, "has no rule, and lets everything through"),
                Bad("logging", {"logDestinationConfigs": []}, "logDestinationConfigs is empty"),
                Bad("logging", {"logDestinationConfigs": None}, "logDestinationConfigs is empty"),
                Bad("logging", {"loggingFilter/filters": []}, "drops everything"),
                Bad("logging", {"loggingFilter/filters/0/behavior": "DROP"}, "drops everything"),
                Bad("balancer", {"loadBalancerType": "network"}, "only an application load balancer takes a web ACL"),
            ),
            unknown=("balancer", "internal"),
            malformed=("logging", "loggingFilter"),
        ),
        "R60": Cases(
            failing=(
                Bad("targets", {"protocol": "HTTP"}, "protocol is HTTP; from the load balancer"),
                Bad("targets", {"protocol": None}, "protocol is not set"),
                Bad("targets", {"healthCheck": None}, "healthCheck is missing"),
                Bad("targets", {"healthCheck/enabled": False}, "healthCheck.enabled is false"),
                Bad("targets", {"healthCheck/protocol": "HTTP"}, "healthCheck.protocol is HTTP"),
                Bad("targets", {"healthCheck/protocol": None}, "healthCheck.protocol is HTTP"),
                Bad("targets", {"healthCheck/protocol": "TCP"}, "healthCheck.protocol is TCP"),
                Bad("targets", {"healthCheck/path": "/"}, "healthCheck.path is /"),
                Bad("targets", {"healthCheck/path": None}, "healthCheck.path is /"),
            ),
            unknown=("targets", "protocol"),
            malformed=("targets", "healthCheck"),
        ),
        "R72": Cases(
            failing=(
                Bad("certificate", {"domainName": "*.example.com"}, "domainName has *.example.com"),
                Bad("certificate", {"subjectAlternativeNames": ["*.example.com"]}, "subjectAlternativeNames has *.example.com"),
                Bad("certificate", {"validationMethod": "EMAIL"}, "validationMethod is EMAIL"),
                Bad("certificate", {"validationMethod": None}, "validationMethod is not set"),
                Bad("certificate", {"certificateBody": "x"}, "is imported"),
                Bad("certificate", {"privateKey": "x"}, "is imported"),
            ),
            unknown=("certificate", "validationMethod"),
            malformed=("certificate", "subjectAlternativeNames"),
        ),
    },
)
