"""Security groups as the AWS targets register them, and in the older forms beside them."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme

from policies.values import UNKNOWN

EVERYWHERE, EVERYWHERE_6 = "0.0.0.0/0", "::/0"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
GROUP = "aws:ec2/securityGroup:SecurityGroup"


def rule(kind: str, group: str, port: int, cidr: str = EVERYWHERE) -> Good:
    properties = {"securityGroupId": UNKNOWN, "cidrIpv4": cidr, "ipProtocol": "tcp", "fromPort": port, "toPort": port}
    return Good(type=kind, properties=properties, refers={"securityGroupId": (group,)})


def group(name: str, **inline: object) -> Good:
    # Without inline rules, AWS says later what others gave it.
    return Good(
        type=GROUP,
        properties={"name": f"assistant-prod-{name}", "vpcId": UNKNOWN, **inline},
        refers={"vpcId": ("vpc",)},
    )


INLINE = {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": [EVERYWHERE], "ipv6CidrBlocks": []}
OLD = {
    "type": "ingress",
    "protocol": "tcp",
    "fromPort": 8443,
    "toPort": 8443,
    "cidrBlocks": ["10.40.0.0/16"],
    "ipv6CidrBlocks": [],
    "securityGroupId": UNKNOWN,
}

THEME = Theme(
    good={
        "vpc": Good(type="aws:ec2/vpc:Vpc", properties={"cidrBlock": "10.40.0.0/16"}),
        "default": Good(
            type="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
            properties={"ingress": [], "egress": [], "vpcId": UNKNOWN},
            refers={"vpcId": ("vpc",)},
        ),
        "edge": group("edge"),
        "balancer": Good(
            type="aws:lb/loadBalancer:LoadBalancer",
            properties={"internal": False, "loadBalancerType": "application", "securityGroups": [UNKNOWN]},
            refers={"securityGroups": ("edge",)},
        ),
        "edge-in-443": rule(INGRESS, "edge", 443),
        "edge-in-80": rule(INGRESS, "edge", 80),
        "edge-old": Good(
            type=OLD_RULE,
            properties={**OLD, "fromPort": 443, "toPort": 443, "cidrBlocks": [EVERYWHERE], "ipv6CidrBlocks": [EVERYWHERE_6]},
            refers={"securityGroupId": ("edge",)},
        ),
        "edge-out": rule(EGRESS, "edge", 8443, "10.40.0.0/16"),
        "tasks": group("tasks", ingress=[{**INLINE, "cidrBlocks": ["10.40.0.0/16"]}], egress=[INLINE]),
        "tasks-old": Good(type=OLD_RULE, properties=OLD, refers={"securityGroupId": ("tasks",)}),
        "tasks-old-out": Good(
            type=OLD_RULE,
            properties={**OLD, "type": "egress", "fromPort": 0, "toPort": 65535},
            refers={"securityGroupId": ("tasks",)},
        ),
        "tasks-out": rule(EGRESS, "tasks", 443),
        "tasks-out-inside": Good(
            type=EGRESS,
            properties={"securityGroupId": UNKNOWN, "cidrIpv4": "10.40.0.0/16", "ipProtocol": "-1"},
            refers={"securityGroupId": ("tasks",)},
        ),
        "service": Good(
            type="kubernetes:core/v1:Service",
            properties={
                "metadata": {"name": "gateway"},
                "spec": {"type": "LoadBalancer", "ports": [{"port": 443, "targetPort": 8443}]},
            },
        ),
    },
    cases={
        "R55": Cases(
            failing=(
                Bad("edge-in-443", {"fromPort": 22, "toPort": 22}, "the rule opens tcp 22 to 0.0.0.0/0"),
                Bad("edge-in-443", {"fromPort": 80}, "the rule opens tcp 80 to 443 to 0.0.0.0/0"),
                Bad("edge-in-443", {"toPort": 444}, "tcp 443 to 444"),
                Bad("edge-in-443", {"ipProtocol": "-1"}, "every protocol"),
                Bad("edge-in-443", {"ipProtocol": "udp"}, "udp 443"),
                Bad("edge-in-443", {"ipProtocol": "icmp"}, "opens icmp"),
                Bad("edge-in-80", {"cidrIpv4": "128.0.0.0/1", "fromPort": 8080, "toPort": 8080}, "128.0.0.0/1"),
                Bad("tasks-old", {"cidrBlocks": [EVERYWHERE]}, "tcp 8443"),
                Bad("tasks-old", {"cidrBlocks": [], "ipv6CidrBlocks": [EVERYWHERE_6]}, "tcp 8443"),
                Bad(
                    "tasks-old", {"cidrBlocks": ["0.0.0.0/1", "128.0.0.0/1"], "fromPort": 443, "toPort": 443}, "no public load"
                ),
                Bad(
                    "tasks",
                    {"ingress/0/cidrBlocks": [EVERYWHERE]},
                    "ingress[0] opens tcp 443 to the world, and the group is no",
                ),
                Bad(
                    "tasks", {"ingress/0/cidrBlocks": [EVERYWHERE], "ingress/0/fromPort": 22}, "ingress[0] opens tcp 22 to 443"
                ),
                Bad("balancer", {"internal": True}, "the group is no public load balancer's"),
                Bad("balancer", {"securityGroups": None}, "the group is no public load balancer's"),
                Bad("service", {"spec/ports/0/port": 8443}, "spec.ports opens TCP 8443 to the world"),
                Bad("service", {"spec/ports/0/protocol": "UDP"}, "UDP 443"),
            ),
            unknown=("edge-in-443", "cidrIpv4"),
            malformed=("edge-in-443", "cidrIpv4"),
        ),
        "R36": Cases(
            failing=(
                Bad("tasks-out", {"ipProtocol": "-1"}, "the rule opens every protocol to 0.0.0.0/0"),
                Bad("tasks-out", {"fromPort": 0, "toPort": 65535}, "tcp 0 to 65535"),
                Bad("tasks-out", {"fromPort": 1, "toPort": 60000, "ipProtocol": "17"}, "udp 1 to 60000"),
                Bad(
                    "tasks", {"egress/0/protocol": "all", "egress/0/cidrBlocks": [EVERYWHERE]}, "egress[0] opens every protocol"
                ),
                Bad(
                    "tasks",
                    {"egress/0/protocol": "-1", "egress/0/cidrBlocks": [], "egress/0/ipv6CidrBlocks": [EVERYWHERE_6]},
                    "every protocol",
                ),
                Bad("tasks-old", {"type": "egress", "protocol": "-1", "cidrBlocks": [EVERYWHERE]}, "every protocol"),
            ),
            unknown=("tasks-out", "toPort"),
            malformed=("tasks-out", "fromPort"),
        ),
        "R56": Cases(
            failing=(
                Bad("default", {"ingress": [{"self": True, "protocol": "-1"}]}, "ingress has 1 rules"),
                Bad("default", {"egress": [{"protocol": "-1", "cidrBlocks": [EVERYWHERE]}]}, "egress has 1 rules"),
                Bad("default", {}, "is not taken over", without=("default",)),
            ),
            unknown=("default", "ingress"),
            malformed=("default", "egress"),
        ),
    },
)
