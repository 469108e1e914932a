"""What the cases of the rules on the way in do not say."""

from __future__ import annotations

from typing import Any

import pytest
from cases.edge import FORWARD, POLICY, REDIRECT, THEME

from policies.resource import Resource, Stack
from policies.rule import Outcome, Verdict, all_of, judge, judge_stack
from policies.rules import RULES
from policies.rules.listeners import NEW_POLICIES, OLD_POLICIES
from policies.values import UNKNOWN

ALL = {rule.id: rule for rule in RULES}
PASS, FAIL, UNDETERMINED = Outcome.PASS, Outcome.FAIL, Outcome.UNDETERMINED
# What decides, by rule and type: it must not be among what Pulumi ignores.
READ = {
    "R46": {
        "aws:alb/loadBalancer:LoadBalancer": "accessLogs loadBalancerType",
        "aws:elb/loadBalancer:LoadBalancer": "accessLogs",
        "aws:lb/loadBalancer:LoadBalancer": "accessLogs loadBalancerType",
    },
    "R57": {
        "aws:alb/listener:Listener": "defaultActions port protocol sslPolicy",
        "aws:alb/listenerRule:ListenerRule": "actions listenerArn",
        "aws:elb/loadBalancer:LoadBalancer": "listeners",
        "aws:lb/listener:Listener": "defaultActions port protocol sslPolicy",
        "aws:lb/listenerRule:ListenerRule": "actions listenerArn",
        "kubernetes:gateway.networking.k8s.io/v1:Gateway": "spec",
        "kubernetes:gateway.networking.k8s.io/v1beta1:Gateway": "spec",
        "kubernetes:networking.k8s.io/v1:Ingress": "metadata spec",
    },
    "R58": {
        "aws:alb/loadBalancer:LoadBalancer": "dropInvalidHeaderFields enableDeletionProtection loadBalancerType",
        "aws:lb/loadBalancer:LoadBalancer": "dropInvalidHeaderFields enableDeletionProtection loadBalancerType",
    },
    "R59": {
        "aws:alb/loadBalancer:LoadBalancer": "internal loadBalancerType",
        "aws:lb/loadBalancer:LoadBalancer": "internal loadBalancerType",
        "aws:wafv2/webAcl:WebAcl": "defaultAction rules",
        "aws:wafv2/webAclAssociation:WebAclAssociation": "resourceArn webAclArn",
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": "logDestinationConfigs loggingFilter resourceArn",
    },
    "R60": {
        "aws:alb/targetGroup:TargetGroup": "healthCheck protocol targetType",
        "aws:lb/targetGroup:TargetGroup": "healthCheck protocol targetType",
    },
    "R72": {
        "aws:acm/certificate:Certificate": "certificateAuthorityArn certificateBody domainName privateKey "
        "subjectAlternativeNames validationMethod",
    },
}
CLASSIC = "aws:elb/loadBalancer:LoadBalancer"


def one(rule_id: str, name: str, changes: dict[str, Any]) -> Outcome:
    resource = THEME.resource(name, changes)
    return all_of(judge(check, resource) for check in ALL[rule_id].checks if resource.type in check.types).outcome


def made(rule_id: str, kind: str, properties: dict[str, Any]) -> Verdict:
    resource = Resource(urn=f"urn:pulumi:prod::assistant::{kind}::x", type=kind, name="x", properties=properties)
    return all_of(judge(check, resource) for check in ALL[rule_id].checks if kind in check.types)


def of_stack(rule_id: str, stack: Stack) -> Verdict:
    return all_of(found.verdict for relation in ALL[rule_id].relations for found in judge_stack(relation, stack))


@pytest.mark.parametrize("policy", sorted(NEW_POLICIES))
def test_a_policy_from_tls_1_2_on_passes(policy: str) -> None:
    assert one("R57", "https", {"sslPolicy": policy}) is PASS
    assert "-1-0-" not in policy
    assert "-1-1-" not in policy


@pytest.mark.parametrize("policy", sorted(OLD_POLICIES))
def test_an_older_policy_fails(policy: str) -> None:
    assert one("R57", "https", {"sslPolicy": policy}) is FAIL


def test_the_tables_of_policies_are_complete_and_apart() -> None:
    assert (len(NEW_POLICIES), len(OLD_POLICIES)) == (27, 17)
    assert not NEW_POLICIES & OLD_POLICIES


def test_a_policy_that_nobody_entered_yet_is_undetermined() -> None:
    assert one("R57", "https", {"sslPolicy": "ELBSecurityPolicy-TLS14-2030-01"}) is UNDETERMINED


def test_the_protocol_that_is_not_said_is_the_ports() -> None:
    assert one("R57", "https", {"protocol": None}) is PASS
    assert one("R57", "https", {"protocol": None, "port": 8443}) is PASS
    assert one("R57", "https", {"protocol": None, "port": 8080}) is FAIL
    assert one("R57", "http", {"protocol": None}) is PASS
    assert one("R57", "https", {"protocol": "tls"}) is PASS


def test_what_passes_bytes_on_says_nothing_of_tls() -> None:
    assert one("R57", "https", {"protocol": "TCP"}) is UNDETERMINED
    assert one("R57", "https", {"protocol": "GENEVE"}) is PASS


def test_every_action_of_a_plain_listener_redirects() -> None:
    assert one("R57", "http", {"defaultActions": [REDIRECT, FORWARD]}) is FAIL
    assert one("R57", "http", {"defaultActions": [REDIRECT, REDIRECT]}) is PASS


def test_a_rule_belongs_to_the_listener_that_it_names_by_value_too() -> None:
    listener = THEME.resource("http")
    known = Resource(urn=listener.urn, type=listener.type, name="http", properties={**listener.properties, "arn": "arn:http"})
    rule = THEME.resource("generating", {"listenerArn": "arn:http"}, linked=False)
    assert of_stack("R57", THEME.stack(known, rule)).outcome is FAIL
    assert of_stack("R57", THEME.stack(known, THEME.resource("generating", {"listenerArn": "arn:x"}))).outcome is PASS


def test_whose_rule_it_is_matters_where_it_does_not_only_redirect() -> None:
    assert of_stack("R57", THEME.stack(THEME.resource("generating", linked=False))).outcome is UNDETERMINED
    assert of_stack("R57", THEME.stack(THEME.resource("plain-rule", linked=False))).outcome is PASS


def test_a_classic_listener_cannot_be_what_is_wanted() -> None:
    assert made("R57", CLASSIC, {"listeners": [{"lbProtocol": "http"}]}).outcome is FAIL
    assert made("R57", CLASSIC, {"listeners": [{"lbProtocol": "tcp"}]}).outcome is FAIL
    for protocol in ("https", "SSL"):
        assert made("R57", CLASSIC, {"listeners": [{"lbProtocol": protocol}]}).outcome is UNDETERMINED


def test_an_ingress_of_aws_own_controller_says_it_by_annotations() -> None:
    alb = "alb.ingress.kubernetes.io/"
    certificate = {f"{alb}certificate-arn": "arn:aws:acm:eu-central-1:123456789012:certificate/1", f"{alb}ssl-policy": POLICY}
    changes = {"spec/tls": None, "metadata/annotations": certificate}
    assert one("R57", "ingress", changes) is PASS
    plain = {**certificate, f"{alb}listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]'}
    assert one("R57", "ingress", {**changes, "metadata/annotations": plain}) is FAIL
    assert one("R57", "ingress", {**changes, "metadata/annotations": {**plain, f"{alb}ssl-redirect": "443"}}) is PASS
    encrypted = {**certificate, f"{alb}listen-ports": '[{"HTTPS": 443}]'}
    assert one("R57", "ingress", {**changes, "metadata/annotations": encrypted}) is PASS
    for malformed in ("[", "443"):
        said = {"metadata/annotations": {**certificate, f"{alb}listen-ports": malformed}}
        ingress = THEME.resource("ingress", {**changes, **said})
        assert "JSON was expected" in made("R57", ingress.type, dict(ingress.properties)).reasons[0]


@pytest.mark.parametrize("prefix", ["nginx.ingress.kubernetes.io", "haproxy.org", "haproxy-ingress.github.io"])
def test_a_controller_may_be_told_to_let_plain_http_through(prefix: str) -> None:
    assert one("R57", "ingress", {"metadata/annotations": {f"{prefix}/ssl-redirect": "false"}}) is FAIL
    assert one("R57", "ingress", {"metadata/annotations": {f"{prefix}/ssl-redirect": "true"}}) is PASS


def test_an_ingress_covers_its_hosts_one_by_one_or_by_a_wildcard() -> None:
    assert one("R57", "ingress", {"spec/tls/0/hosts": ["*.example.com"]}) is PASS
    assert one("R57", "ingress", {"spec/tls/0/hosts": ["*.other.com"]}) is FAIL
    assert one("R57", "ingress", {"spec/tls/0/hosts": None}) is FAIL
    assert one("R57", "ingress", {"spec/rules/0/host": None, "spec/tls/0/hosts": None}) is PASS
    assert one("R57", "ingress", {"metadata/annotations": None}) is PASS
    assert one("R57", "ingress", {"metadata": None}) is PASS
    assert one("R57", "ingress", {"spec": None}) is FAIL


def test_a_listener_of_the_gateway_api() -> None:
    listener = "spec/listeners/0"
    assert one("R57", "gateway-api", {f"{listener}/protocol": "HTTP"}) is UNDETERMINED
    assert one("R57", "gateway-api", {f"{listener}/tls": {"mode": "Passthrough"}, f"{listener}/protocol": "TLS"}) is PASS
    assert one("R57", "gateway-api", {f"{listener}/tls": {"mode": "Terminate"}}) is FAIL
    assert one("R57", "gateway-api", {"spec": None}) is PASS


def test_other_kinds_of_load_balancers_are_held_to_what_they_can() -> None:
    assert one("R46", "balancer", {"loadBalancerType": "gateway", "accessLogs": None}) is PASS
    assert one("R46", "balancer", {"loadBalancerType": "network", "accessLogs": None}) is FAIL
    assert one("R46", "balancer", {"loadBalancerType": None, "accessLogs": None}) is FAIL
    assert one("R58", "balancer", {"loadBalancerType": "network", "dropInvalidHeaderFields": None}) is PASS
    assert one("R58", "balancer", {"loadBalancerType": None, "dropInvalidHeaderFields": None}) is FAIL
    assert made("R46", CLASSIC, {"accessLogs": {"bucket": "logs"}}).outcome is PASS
    assert made("R46", CLASSIC, {"accessLogs": {"bucket": "logs", "enabled": False}}).outcome is FAIL
    assert made("R46", CLASSIC, {}).outcome is FAIL


def test_deletion_protection_is_for_production() -> None:
    balancer = THEME.resource("balancer", {"enableDeletionProtection": False})
    assert of_stack("R58", THEME.stack(balancer)).outcome is FAIL
    assert of_stack("R58", THEME.stack(balancer, production=False)).outcome is PASS


def test_remediation_of_headers_is_what_the_rule_wants() -> None:
    remediation = ALL["R58"].remediation
    assert remediation is not None
    assert remediation.propose(THEME.resource("balancer")) == {("dropInvalidHeaderFields",): True}


def test_a_load_balancer_inside_needs_no_firewall() -> None:
    inside = THEME.resource("balancer", {"internal": True})
    assert of_stack("R59", THEME.stack(inside, without=("association",))).outcome is PASS
    assert (
        of_stack("R59", THEME.stack(THEME.resource("balancer", {"internal": None}), without=("association",))).outcome is FAIL
    )
    assert of_stack("R59", THEME.stack(THEME.resource("balancer", {"internal": UNKNOWN}))).outcome is UNDETERMINED


def test_a_classic_load_balancer_in_the_open_takes_no_firewall() -> None:
    classic = Resource(urn=f"urn:pulumi:prod::assistant::{CLASSIC}::x", type=CLASSIC, name="x", properties={})
    assert of_stack("R59", Stack((classic,))).outcome is FAIL


def test_a_web_acl_of_somebody_elses_is_undetermined() -> None:
    theirs = THEME.resource("association", {"webAclArn": "arn:aws:wafv2:…:webacl/theirs"})
    theirs = Resource(
        urn=theirs.urn,
        type=theirs.type,
        name="association",
        properties=theirs.properties,
        property_dependencies={"resourceArn": (THEME.urn("balancer"),)},
    )
    verdict = of_stack("R59", THEME.stack(theirs))
    assert verdict.outcome is UNDETERMINED
    assert "none of this stack" in verdict.reasons[0]


def test_what_no_edge_and_no_value_tells_is_undetermined() -> None:
    association = THEME.resource("association", linked=False)
    assert "whether a web ACL stands before it" in of_stack("R59", THEME.stack(association)).reasons[0]
    logging = THEME.resource("logging", linked=False)
    verdict = of_stack("R59", THEME.stack(logging))
    assert verdict.outcome is UNDETERMINED
    assert "it cannot be told whether its web ACL acl is logged" in verdict.reasons[0]


def test_an_association_of_another_load_balancers_does_not_count() -> None:
    other = THEME.resource("association", {"resourceArn": "arn:aws:elasticloadbalancing:…:other"}, linked=False)
    assert of_stack("R59", THEME.stack(other)).outcome is FAIL
    log = THEME.resource("logging", {"resourceArn": "arn:aws:wafv2:…:other"}, linked=False)
    assert of_stack("R59", THEME.stack(log)).outcome is FAIL


def test_a_firewall_that_blocks_by_default_needs_no_rule_and_a_log_no_filter() -> None:
    blocking = THEME.resource("acl", {"rules": [], "defaultAction": {"block": {}}})
    assert of_stack("R59", THEME.stack(blocking)).outcome is PASS
    assert of_stack("R59", THEME.stack(THEME.resource("acl", {"rules": [], "defaultAction": None}))).outcome is FAIL
    for changes in ({"loggingFilter": None}, {"loggingFilter/defaultBehavior": "KEEP", "loggingFilter/filters": []}):
        assert of_stack("R59", THEME.stack(THEME.resource("logging", changes))).outcome is PASS


def test_target_groups_of_other_kinds() -> None:
    assert one("R60", "targets", {"targetType": "lambda", "protocol": None, "healthCheck": None}) is PASS
    assert one("R60", "targets", {"protocol": "TLS", "healthCheck/protocol": "TCP"}) is PASS
    assert one("R60", "targets", {"protocol": "TLS", "healthCheck/protocol": "HTTPS"}) is PASS
    assert one("R60", "targets", {"targetType": None}) is PASS
    assert one("R60", "targets", {"healthCheck/enabled": True}) is PASS


def test_a_private_authority_validates_nothing_by_dns() -> None:
    private = {"certificateAuthorityArn": "arn:aws:acm-pca:…:ca/1", "validationMethod": None}
    assert one("R72", "certificate", private) is PASS
    assert one("R72", "certificate", {**private, "domainName": "*.internal.example.com"}) is FAIL
    assert one("R72", "certificate", {"subjectAlternativeNames": None}) is PASS
    assert one("R72", "certificate", {"domainName": None}) is PASS


def test_older_names_of_the_types_are_read_too() -> None:
    assert made("R57", "aws:alb/listener:Listener", {"port": 443, "protocol": "HTTPS"}).outcome is FAIL
    assert made("R60", "aws:alb/targetGroup:TargetGroup", {"protocol": "HTTP"}).outcome is FAIL
    assert made("R46", "aws:alb/loadBalancer:LoadBalancer", {}).outcome is FAIL


@pytest.mark.parametrize(("rule_id", "kind"), [(rule_id, kind) for rule_id, kinds in READ.items() for kind in kinds])
def test_ignoring_changes_of_what_decides_is_refused(rule_id: str, kind: str) -> None:
    for name in READ[rule_id][kind].split():
        urn = f"urn:pulumi:prod::assistant::{kind}::x"
        resource = Resource(urn=urn, type=kind, name="x", properties={}, ignored_changes=(name,))
        reasons = all_of(judge(check, resource) for check in ALL["R75"].checks if kind in check.types).reasons
        assert any(rule_id in reason for reason in reasons), name
