"""The one way in: the stack's own load balancer, with a certificate, a firewall and a log of who asked for what.

It ends TLS and speaks TLS again to the gateway, in two target groups, so that the latency of what generates text and that
of all else can be told apart (:mod:`infra.alarms`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pulumi
import pulumi_aws as aws

from infra.alarms import GENERATING_ROUTES
from infra.aws.context import AwsContext
from infra.aws.firewall import Firewall, FirewallArgs
from infra.aws.naming import LOAD_BALANCER
from infra.aws.storage import EDGE_PREFIX
from infra.durations import INFERENCE_TIMEOUT_SECONDS
from infra.kubernetes.names import GATEWAY_PORT

if TYPE_CHECKING:
    from infra.aws.bucket import PrivateBucket
    from infra.aws.network import Network

Traffic = Literal["api", "generating"]
TRAFFIC: tuple[Traffic, ...] = ("api", "generating")
HTTP_PORT, HTTPS_PORT = 80, 443
OPEN_PORTS = (HTTP_PORT, HTTPS_PORT)
ANYWHERE = "0.0.0.0/0"
READY_PATH = "/readyz"  # of app/http/health.py; a test compares the two
# The gateway, which can say why, gives up first; and it keeps an idle connection longer than this (app/http/protocol.py), or it
# would close one just as the load balancer uses it again, and people would see 502.
IDLE_SECONDS = INFERENCE_TIMEOUT_SECONDS + 10
# A target that ends gets no new requests; what it has begun takes no longer than this.
DEREGISTRATION_SECONDS = INFERENCE_TIMEOUT_SECONDS + 5
VALIDATION_TTL = 60


@dataclass(frozen=True, kw_only=True)
class EdgeArgs:
    """``access_logs``: the bucket that takes the load balancer's log. ``log_key_arn``: encrypts the firewall's."""

    context: AwsContext
    network: Network
    access_logs: PrivateBucket
    log_key_arn: pulumi.Input[str]


class Edge(pulumi.ComponentResource):
    """``url``: where people reach the assistant. ``load_balancer_dns_name``: what ``domain`` has to point to where the
    stack has no zone to write it into. ``*_suffixes``: for CloudWatch's dimensions. ``listener``: what a service with targets
    has to wait for. ``certificate_arn``: of a valid one."""

    url: str
    load_balancer_dns_name: pulumi.Output[str]
    load_balancer_suffix: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    target_group_arns: dict[str, pulumi.Output[str]]
    target_group_suffixes: dict[str, pulumi.Output[str]]
    certificate_arn: pulumi.Input[str]
    listener: aws.lb.Listener
    web_acl_name: pulumi.Output[str]

    def __init__(self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Edge", name, {}, opts)
        self._name, self._args, self._settings = name, args, args.context.settings.edge
        self._child = pulumi.ResourceOptions(parent=self)
        if self._settings.domain is None:
            raise ValueError("the settings of an AWS stack always have edge.domain")
        self.url = f"https://{self._settings.domain}"
        group = self._security_group()
        balancer = self._load_balancer(group)
        targets = {traffic: self._target_group(traffic) for traffic in TRAFFIC}
        zone_id = self._zone_id()
        self.certificate_arn = self._settings.certificate_arn or self._certificate(self._settings.domain, zone_id)
        self.listener = self._listeners(balancer, targets)
        if zone_id is not None:
            self._record(self._settings.domain, zone_id, balancer)
        firewall = Firewall(
            f"{name}-firewall",
            FirewallArgs(context=args.context, load_balancer_arn=balancer.arn, log_key_arn=args.log_key_arn),
            self._child,
        )
        self.web_acl_name = firewall.web_acl_name
        self.security_group_id = group.id
        self.load_balancer_dns_name = balancer.dns_name
        self.load_balancer_suffix = balancer.arn_suffix
        self.target_group_arns = {traffic: target.arn for traffic, target in targets.items()}
        self.target_group_suffixes = {traffic: target.arn_suffix for traffic, target in targets.items()}
        self.register_outputs({"url": self.url, "load_balancer_dns_name": self.load_balancer_dns_name})

    def _security_group(self) -> aws.ec2.SecurityGroup:
        """Open to the world on two ports, and open inwards on the targets' alone."""
        name, network = self._name, self._args.network
        group = aws.ec2.SecurityGroup(
            f"{name}-security-group",
            name=self._args.context.name("edge"),
            description="The load balancer: 80 and 443 from anywhere, to the gateway alone",
            vpc_id=network.vpc_id,
            opts=self._child,
        )
        for port in OPEN_PORTS:
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-in-{port}",
                security_group_id=group.id,
                description="People and platforms" if port == HTTPS_PORT else "Sent on to 443",
                cidr_ipv4=ANYWHERE,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                opts=self._child,
            )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-out",
            security_group_id=group.id,
            description="Tasks or pods of the gateway",
            cidr_ipv4=network.vpc_cidr,
            ip_protocol="tcp",
            from_port=GATEWAY_PORT,
            to_port=GATEWAY_PORT,
            opts=self._child,
        )
        return group

    def _load_balancer(self, group: aws.ec2.SecurityGroup) -> aws.lb.LoadBalancer:
        args = self._args
        # It proves that it can write its log before it comes up, so the bucket's policy has to be there. AWS makes none in a
        # network without a way to the internet, nor lets that go while it stands.
        after = pulumi.ResourceOptions(depends_on=[args.access_logs, args.network])
        return aws.lb.LoadBalancer(
            f"{self._name}-load-balancer",
            name=args.context.name("edge", longest=LOAD_BALANCER),
            load_balancer_type="application",
            internal=False,
            ip_address_type="ipv4",
            subnets=args.network.public_subnet_ids,
            security_groups=[group.id],
            idle_timeout=IDLE_SECONDS,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            enable_waf_fail_open=False,
            enable_deletion_protection=args.context.settings.protection,
            access_logs={"bucket": args.access_logs.bucket_name, "prefix": EDGE_PREFIX, "enabled": True},
            opts=pulumi.ResourceOptions.merge(self._child, after),
        )

    def _target_group(self, traffic: Traffic) -> aws.lb.TargetGroup:
        return aws.lb.TargetGroup(
            f"{self._name}-{traffic}",
            name=self._args.context.name(traffic, longest=LOAD_BALANCER),
            vpc_id=self._args.network.vpc_id,
            port=GATEWAY_PORT,
            protocol="HTTPS",
            target_type="ip",
            deregistration_delay=DEREGISTRATION_SECONDS,
            # An answer takes as long as its text is: the target with the fewest open ones is the least busy.
            load_balancing_algorithm_type="least_outstanding_requests",
            health_check={
                "protocol": "HTTPS",
                "path": READY_PATH,
                "matcher": "200",
                "interval": 10,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 3,
            },
            opts=self._child,
        )

    def _zone_id(self) -> pulumi.Output[str] | None:
        if self._settings.zone is None:
            return None
        invoke = pulumi.InvokeOptions(parent=self)
        return aws.route53.get_zone_output(name=self._settings.zone, private_zone=False, opts=invoke).zone_id

    def _certificate(self, domain: str, zone_id: pulumi.Input[str] | None) -> pulumi.Output[str]:
        if zone_id is None:
            raise ValueError("the settings of an AWS stack have edge.zone or edge.certificate_arn")
        certificate = aws.acm.Certificate(
            f"{self._name}-certificate", domain_name=domain, validation_method="DNS", opts=self._child
        )
        # One domain, one question to answer.
        asked = certificate.domain_validation_options[0]
        record = aws.route53.Record(
            f"{self._name}-validation-record",
            zone_id=zone_id,
            name=asked.resource_record_name.apply(lambda name: name or ""),
            type=asked.resource_record_type.apply(lambda kind: kind or "CNAME"),
            records=[asked.resource_record_value.apply(lambda value: value or "")],
            ttl=VALIDATION_TTL,
            # A certificate's successor is asked the same question.
            allow_overwrite=True,
            opts=self._child,
        )
        return aws.acm.CertificateValidation(
            f"{self._name}-validation",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            opts=self._child,
        ).certificate_arn

    def _listeners(self, balancer: aws.lb.LoadBalancer, targets: dict[Traffic, aws.lb.TargetGroup]) -> aws.lb.Listener:
        aws.lb.Listener(
            f"{self._name}-http",
            load_balancer_arn=balancer.arn,
            port=HTTP_PORT,
            protocol="HTTP",
            default_actions=[
                {
                    "type": "redirect",
                    "redirect": {"protocol": "HTTPS", "port": str(HTTPS_PORT), "status_code": "HTTP_301"},
                }
            ],
            opts=self._child,
        )
        listener = aws.lb.Listener(
            f"{self._name}-https",
            load_balancer_arn=balancer.arn,
            port=HTTPS_PORT,
            protocol="HTTPS",
            ssl_policy=self._settings.ssl_policy,
            certificate_arn=self.certificate_arn,
            routing_http_response_server_enabled=False,
            default_actions=[{"type": "forward", "target_group_arn": targets["api"].arn}],
            opts=self._child,
        )
        aws.lb.ListenerRule(
            f"{self._name}-generating-rule",
            listener_arn=listener.arn,
            priority=10,
            actions=[{"type": "forward", "target_group_arn": targets["generating"].arn}],
            conditions=[{"path_pattern": {"values": list(GENERATING_ROUTES)}}],
            opts=self._child,
        )
        return listener

    def _record(self, domain: str, zone_id: pulumi.Input[str], balancer: aws.lb.LoadBalancer) -> None:
        aws.route53.Record(
            f"{self._name}-record",
            zone_id=zone_id,
            name=domain,
            type="A",
            aliases=[{"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": True}],
            opts=self._child,
        )
