"""What the played AWS and the engine's state say of a stack: what the world reaches, which alarms there are, what is left.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.aws.orphans import retained

Resource = Mapping[str, Any]
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
BALANCER, LISTENER = "aws:lb/loadBalancer:LoadBalancer", "aws:lb/listener:Listener"
CLUSTER, ALARM = "aws:eks/cluster:Cluster", "aws:cloudwatch/metricAlarm:MetricAlarm"
ANYWHERE = frozenset({"0.0.0.0/0", "::/0"})
EXPECTED = (80, 443)
_WORDS = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": "≥",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "≤",
}


@dataclass(frozen=True, kw_only=True)
class Door:
    """``holder``: what is open. ``ports``: in words; ``why``: the rule's own description."""

    holder: str
    ports: str
    why: str
    expected: bool


@dataclass(frozen=True, kw_only=True)
class Alarm:
    name: str
    measured: str
    condition: str
    duration: str
    summary: str
    severity: str


def doors(there: Iterable[Resource]) -> list[Door]:
    """All that any address of the world may connect to."""
    records = list(there)
    edges = {group for record in records if record["token"] == BALANCER for group in _edge_groups(record)}
    names = {record["id"]: record["name"] or record["id"] for record in records if record["token"] == GROUP}
    found = []
    for record in records:
        for group, first, last, protocol, why in _open_rules(record):
            known = group in edges and protocol == "tcp" and first == last and first in EXPECTED
            found.append(
                Door(holder=f"security group {names.get(group, group)}", ports=_ports(first, last), why=why, expected=known)
            )
        if record["token"] == CLUSTER and _public_endpoint(record):
            found.append(
                Door(holder=f"API server of {record['name']}", ports="443", why="endpoint open to all", expected=False)
            )
    return sorted(found, key=lambda door: (not door.expected, door.ports))


def _edge_groups(record: Resource) -> list[str]:
    return [] if record["outputs"].get("internal") else [str(group) for group in record["outputs"].get("securityGroups") or ()]


def _open_rules(record: Resource) -> Iterable[tuple[str, int | None, int | None, str, str]]:
    """(group, first port, last port, protocol, description) of a record's rules that let the world in."""
    inputs = record["inputs"]
    if record["token"] == INGRESS and {inputs.get("cidrIpv4"), inputs.get("cidrIpv6")} & ANYWHERE:
        yield _rule(str(inputs["securityGroupId"]), inputs, "ipProtocol")
    if record["token"] == OLD_RULE and inputs.get("type") == "ingress" and _anywhere(inputs):
        yield _rule(str(inputs["securityGroupId"]), inputs, "protocol")
    if record["token"] == GROUP:
        yield from (_rule(str(record["id"]), rule, "protocol") for rule in inputs.get("ingress") or () if _anywhere(rule))


def _rule(group: str, rule: Resource, protocol: str) -> tuple[str, int | None, int | None, str, str]:
    first, last = rule.get("fromPort"), rule.get("toPort")
    numbers = (int(first) if first is not None else None, int(last) if last is not None else None)
    return group, *numbers, str(rule.get(protocol, "-1")), str(rule.get("description") or "")


def _anywhere(rule: Resource) -> bool:
    return bool(ANYWHERE & {*(rule.get("cidrBlocks") or ()), *(rule.get("ipv6CidrBlocks") or ())})


def _ports(first: int | None, last: int | None) -> str:
    if first is None or first == -1:
        return "all"
    return str(first) if first == last else f"{first}–{last}"


def _public_endpoint(record: Resource) -> bool:
    config = record["inputs"].get("vpcConfig") or {}
    cidrs = config.get("publicAccessCidrs")
    return config.get("endpointPublicAccess") is not False and (cidrs is None or bool(ANYWHERE & set(cidrs)))


def listeners(there: Iterable[Resource]) -> dict[int, str]:
    """Port -> what answers there, of the load balancers that face the world."""
    records = list(there)
    facing = {record["arn"] for record in records if record["token"] == BALANCER and not record["outputs"].get("internal")}
    found = {}
    for record in records:
        if record["token"] == LISTENER and record["inputs"].get("loadBalancerArn") in facing:
            actions = ", ".join(str(action.get("type")) for action in record["inputs"].get("defaultActions") or ())
            policy = record["inputs"].get("sslPolicy")
            found[int(record["inputs"]["port"])] = f"{record['inputs'].get('protocol')}, {actions}" + (
                f", {policy}" if policy else ""
            )
    return dict(sorted(found.items()))


def exactly_the_edge(there: Iterable[Resource]) -> list[str]:
    """What is open that should not be, or closed that should be open; empty where it is exactly 80 and 443 of the edge."""
    records = list(there)
    found = doors(records)
    wrong = [f"{door.holder} is open to the world on {door.ports}" for door in found if not door.expected]
    opened = sorted({int(door.ports) for door in found if door.expected})
    if opened != list(EXPECTED):
        wrong.append(f"the edge's security group lets the world in on {opened}, and not on {list(EXPECTED)}")
    if sorted(listeners(records)) != list(EXPECTED):
        wrong.append(f"the load balancer listens on {sorted(listeners(records))}, and not on {list(EXPECTED)}")
    return wrong


def alarms(there: Iterable[Resource]) -> list[Alarm]:
    return sorted((_alarm(record) for record in there if record["token"] == ALARM), key=lambda alarm: alarm.name)


def _alarm(record: Resource) -> Alarm:
    inputs = record["inputs"]
    summary = str(inputs.get("alarmDescription") or "").partition(". What to do:")[0]
    severity, _, text = summary.partition(": ")
    periods = int(inputs.get("evaluationPeriods") or 1)
    sign = _WORDS.get(str(inputs.get("comparisonOperator")), str(inputs.get("comparisonOperator")))
    return Alarm(
        name=str(inputs.get("name") or record["name"]),
        measured=_measured(inputs),
        condition=f"{sign} {inputs.get('threshold'):g}" if isinstance(inputs.get("threshold"), int | float) else sign,
        duration=f"{periods} × {_shown(_period(inputs))}",
        summary=text or summary,
        severity=severity if text else "",
    )


def _shown(seconds: float) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _measured(inputs: Resource) -> str:
    if name := inputs.get("metricName"):
        return f"{inputs.get('namespace')} {name} ({inputs.get('extendedStatistic') or inputs.get('statistic')})"
    queries = inputs.get("metricQueries") or ()
    words = [
        f"{query['metric'].get('namespace')} {query['metric'].get('metricName')} ({query['metric'].get('stat')})"
        for query in queries
        if query.get("metric")
    ]
    expressions = [str(query["expression"]) for query in queries if query.get("expression")]
    return "; ".join([*expressions, *words])


def _period(inputs: Resource) -> float:
    if period := inputs.get("period"):
        return float(period)
    queries = inputs.get("metricQueries") or ()
    return float(max((query.get("period") or (query.get("metric") or {}).get("period") or 0 for query in queries), default=0))


@dataclass(frozen=True, kw_only=True)
class Left:
    """``kept``: with the reason why."""

    orphans: tuple[str, ...]
    kept: Mapping[str, str]


# Of a bucket that is kept, its configuration is kept with it.
_OF_A_BUCKET = "aws:s3/bucket"


def left(there: Iterable[Resource]) -> Left:
    """What exists after a destroy, told apart as ``make orphans`` does."""
    records = list(there)
    orphans, kept = [], {}
    for record in records:
        shown = f"{record['token']} {record['id']}"
        if why := _kept(record):
            kept[shown] = why
        else:
            orphans.append(shown)
    return Left(orphans=tuple(sorted(orphans)), kept=kept)


def _kept(record: Resource) -> str | None:
    labels = record["outputs"].get("tagsAll") or {}
    if record["arn"].startswith("arn:") and (why := retained(record["arn"], labels, None)):
        return why
    if record["token"].startswith(_OF_A_BUCKET) and "-audit-" in f"{record['id']}-":
        return "a setting of the audit log's bucket, kept with it"
    if record["token"].startswith("aws:kms/") and "audit" in f"{record['name']} {record['urn'].rpartition('::')[2]}":
        return "the key that reads the audit log"
    return None


@dataclass(frozen=True, kw_only=True)
class KubernetesObject:
    kind: str
    namespace: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


def kubernetes_objects(exported: Resource) -> list[KubernetesObject]:
    """Those that the engine's state knows, in the order in which they were made; also those that it was making."""
    deployment = exported.get("deployment") or {}
    begun = [operation["resource"] for operation in deployment.get("pending_operations") or ()]
    found = []
    for resource in [*(deployment.get("resources") or ()), *begun]:
        if not resource["type"].startswith("kubernetes:") or not resource.get("custom"):
            continue
        outputs = resource.get("outputs") or resource.get("inputs") or {}
        metadata = outputs.get("metadata") or {}
        if isinstance(metadata, Mapping) and metadata.get("name"):
            version = str(outputs.get("apiVersion", "v1"))
            group = version.partition("/")[0] if "/" in version else ""
            kind = ".".join(filter(None, (str(outputs["kind"]), version.rpartition("/")[2] if group else "", group)))
            found.append(KubernetesObject(kind=kind, namespace=metadata.get("namespace"), name=str(metadata["name"])))
    return found
