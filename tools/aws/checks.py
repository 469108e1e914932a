"""What an AWS stack presupposes, judged: each check says what was found, whether that will do, and what to do. Pure."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.models import default
from infra.aws.keys import NODE_VOLUMES_ROLE
from infra.aws_settings import GpuPool, SystemPool
from infra.instance_types import G_ON_DEMAND, G_SPOT, GPU_INSTANCES, P5_SPOT, P_ON_DEMAND, P_SPOT
from infra.settings import Settings
from tools.aws.means import Identity

Verdict = Literal["ok", "note", "refused", "not checked"]

# RFC 2606 and RFC 6761: names that nobody has. RFC 5737: networks that stand in documentation alone.
EXAMPLE_DOMAINS = ("example", "example.com", "example.net", "example.org", "test", "invalid", "localhost")
EXAMPLE_NETWORKS = tuple(ipaddress.IPv4Network(cidr) for cidr in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))
QUOTA_NAMES = {
    G_ON_DEMAND: "Running On-Demand G and VT instances",
    G_SPOT: "All G and VT Spot Instance Requests",
    P_ON_DEMAND: "Running On-Demand P instances",
    P_SPOT: "All P4, P3 and P2 Spot Instance Requests",
    P5_SPOT: "All P5 Spot Instance Requests",
}
STANDARD_CPUS = "L-1216C47A"  # EC2: Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances
VPCS = ("vpc", "L-F678F1CE", "VPCs a region")
ADDRESSES = ("ec2", "L-0263D0A3", "Elastic IP addresses")
NATS = ("vpc", "L-FE5A380F", "NAT gateways a zone")
PER_ZONE = "perZone"
SCALING_ROLE = NODE_VOLUMES_ROLE.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Check:
    """``found`` and ``advice`` in a person's words; ``advice`` only where something is to be done."""

    name: str
    found: str
    verdict: Verdict
    advice: str = ""


def not_checked(name: str, why: str) -> Check:
    return Check(name=name, found=why, verdict="not checked")


def entered(missing: Sequence[str], commands: Sequence[str]) -> Check:
    """Of the credentials that platforms need. ``commands``: what asks for the missing ones."""
    name = "platforms' secrets"
    if not missing:
        return Check(name=name, found="entered", verdict="ok")
    variables = ", ".join(each.upper() for each in missing)
    advice = f"enter them: {' and '.join(commands)}, or name them in the environment: {variables}"
    return Check(name=name, found=f"no {', '.join(missing)}", verdict="refused", advice=advice)


def principal(identity: Identity, settings: Settings) -> Check:
    found = f"{identity.arn}"
    wanted = settings.aws.account
    if wanted and identity.account != wanted:
        advice = f"aws.account is {wanted}: take credentials of that account, or name this one"
        return Check(name="principal", found=found, verdict="refused", advice=advice)
    if identity.is_root:
        advice = "the account's root must not deploy: log in as a role or a user"
        return Check(name="principal", found=found, verdict="refused", advice=advice)
    if wanted is None:
        advice = f'name the account, so that no other one is hit: make set … KEY=aws.account VALUE="{identity.account}"'
        return Check(name="principal", found=found, verdict="note", advice=advice)
    return Check(name="principal", found=found, verdict="ok")


def login_program(path: str | None) -> Check:
    """Of the cluster: the kubeconfig calls it for a token, at every use."""
    if path is None:
        advice = "install the AWS CLI, version 2: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
        return Check(
            name="program aws", found="not on PATH; the cluster is signed in to by it", verdict="refused", advice=advice
        )
    return Check(name="program aws", found=path, verdict="ok")


def region(settings: Settings, status: str | None) -> Check:
    """``status``: EC2's opt-in status of the region; None where there is no such region."""
    name = settings.aws.region
    if status is None:
        advice = "no region that this account sees: set aws.region"
        return Check(name="region", found=name, verdict="refused", advice=advice)
    if status == "not-opted-in":
        advice = f"aws account enable-region --region-name {name}"
        return Check(name="region", found=f"{name}, not enabled", verdict="refused", advice=advice)
    return Check(name="region", found=f"{name}, enabled", verdict="ok")


def scaling_role(*, there: bool) -> Check:
    """Of the key of the nodes' volumes: KMS refuses a policy that names a role which is not there, and AWS makes this one in an
    account with the first Auto Scaling group, which comes later."""
    name = SCALING_ROLE
    if there:
        return Check(name="scaling role", found=name, verdict="ok")
    advice = "aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com"
    return Check(name="scaling role", found=f"no {name} in this account yet", verdict="refused", advice=advice)


def examples(settings: Settings) -> Check:
    """Values that stand in documentation, left as they were."""
    left = [
        *(f"edge.domain {settings.edge.domain}" for _ in [0] if settings.edge.domain and is_example(settings.edge.domain)),
        *(f"edge.zone {settings.edge.zone}" for _ in [0] if settings.edge.zone and is_example(settings.edge.zone)),
        *(f"eks.deployerCidrs {cidr}" for cidr in settings.eks.deployer_cidrs if _is_example_network(cidr)),
        *(f"notifications.emails {email}" for email in settings.notifications.emails if is_example(email.rpartition("@")[2])),
    ]
    if left:
        advice = f"name your own: make set … KEY={left[0].partition(' ')[0]} VALUE=…"
        return Check(name="example values", found=", ".join(left), verdict="refused", advice=advice)
    return Check(name="example values", found="none left", verdict="ok")


def is_example(domain: str) -> bool:
    return any(domain == known or domain.endswith(f".{known}") for known in EXAMPLE_DOMAINS)


def _is_example_network(cidr: str) -> bool:
    return any(ipaddress.IPv4Network(cidr).overlaps(network) for network in EXAMPLE_NETWORKS)


def model(settings: Settings, stack: str) -> Check:
    """Whether the model's file is known by its digest: what is not pinned may be another one tomorrow."""
    source = settings.model.source
    if not settings.model.is_pinned:
        advice = f"make model-pin STACK={stack}"
        return Check(name="model", found=f"{source}, not pinned", verdict="refused", advice=advice)
    if source == default.SOURCE:
        advice = f"it is small; for one that answers in earnest: make model-pin STACK={stack}"
        return Check(name="model", found=default.NAME, verdict="note", advice=advice)
    return Check(name="model", found=source.partition("?")[0], verdict="ok")


def zone(name: str, served: Sequence[str] | None, parent: Sequence[str] | None) -> Check:
    """``served``: the hosted zone's own name servers, None where there is no such zone; ``parent``: those that the world is
    told, None where no DNS could be asked."""
    if served is None:
        advice = f"aws route53 create-hosted-zone --name {name} --caller-reference {name}, then enter its NS at the parent"
        return Check(name="zone", found=f"no public hosted zone {name} in this account", verdict="refused", advice=advice)
    if parent is None:
        return Check(name="zone", found=f"{name} is there; its delegation", verdict="not checked", advice="no DNS answers here")
    if _names(parent) == _names(served):
        return Check(name="zone", found=f"{name}, delegated", verdict="ok")
    told = ", ".join(sorted(_names(parent))) or "no name servers"
    advice = f"enter these as NS of {name} where its parent is kept: {', '.join(sorted(_names(served)))}"
    return Check(name="zone", found=f"{name}, but the world is told {told}", verdict="refused", advice=advice)


def _names(servers: Iterable[str]) -> set[str]:
    return {server.rstrip(".").lower() for server in servers}


@dataclass(frozen=True)
class Need:
    """vCPUs that pools need of one quota: at their minima, and at their maxima."""

    minimum: int
    maximum: int


def gpu_needs(pools: Sequence[GpuPool]) -> dict[str, Need]:
    """By quota code. A pool of several types may get the largest of them. A capacity block has no quota but its own."""
    needs: dict[str, Need] = {}
    for pool in pools:
        if pool.capacity == "capacityBlock":
            continue
        for code in {_quota(kind, pool.capacity) for kind in pool.instance_types}:
            cpus = [GPU_INSTANCES[kind].vcpus for kind in pool.instance_types if _quota(kind, pool.capacity) == code]
            before = needs.get(code, Need(0, 0))
            # The minimum comes up with the smallest type, if quota is short; the maximum may need the largest.
            needs[code] = Need(before.minimum + pool.minimum * min(cpus), before.maximum + pool.maximum * max(cpus))
    return needs


def _quota(kind: str, capacity: str) -> str:
    instance = GPU_INSTANCES[kind]
    return instance.spot_quota if capacity == "spot" else instance.quota


def gpu_quota(code: str, need: Need, value: float | None, settings: Settings) -> Check:
    """``value``: vCPUs that the account may run at once."""
    name = f"quota {QUOTA_NAMES.get(code, code)}"
    if value is None:
        return not_checked(name, f"{code} does not tell")
    found = f"{value:.0f} vCPUs; the pools need {need.minimum} to {need.maximum}"
    ask = (
        f"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {code} "
        f"--desired-value {need.maximum} --region {settings.aws.region} (often granted within days)"
    )
    if value >= need.maximum:
        return Check(name=name, found=found, verdict="ok")
    if value < need.minimum:
        return Check(name=name, found=found, verdict="refused", advice=f"{ask}; until then gpuPools with minimum 0")
    if settings.inference.device == "cuda" and value < _one_node(code, settings.gpu_pools):
        advice = f"{ask}; until then: inference.device cpu, and cuda once it is granted"
        return Check(name=name, found=f"{found}; not one GPU", verdict="refused", advice=advice)
    if value < _one_node(code, settings.gpu_pools):
        advice = f"the stack comes up on CPU. {ask}; then inference.device cuda adds the GPUs"
        return Check(name=name, found=found, verdict="note", advice=advice)
    return Check(name=name, found=found, verdict="note", advice=f"fewer nodes than the maximum. {ask}")


def _one_node(code: str, pools: Sequence[GpuPool]) -> int:
    cpus = [GPU_INSTANCES[kind].vcpus for pool in pools for kind in pool.instance_types if _quota(kind, pool.capacity) == code]
    return min(cpus, default=0)


def counted(name: str, code: tuple[str, str], used: int | None, needed: int, value: float | None, region: str) -> Check:
    """A quota that counts things: ``used`` are there already. Where the stack stands already, it needs none."""
    if value is None or used is None:
        return not_checked(name, "Service Quotas does not tell")
    found = f"{used} of {value:.0f} used, {needed} needed"
    if used + needed <= value:
        return Check(name=name, found=found, verdict="ok")
    advice = (
        f"aws service-quotas request-service-quota-increase --service-code {code[0]} --quota-code {code[1]} "
        f"--desired-value {math.ceil(used + needed)} --region {region}"
    )
    return Check(name=name, found=found, verdict="refused", advice=advice)


def node_cpus(pool: SystemPool, cpus: int, value: float | None, region: str) -> Check:
    """``cpus``: of the largest of the pool's types. New accounts may run few, and a node group that gets none fails only after
    the quarter of an hour that its cluster takes."""
    name, need = "CPUs of nodes", Need(pool.minimum * cpus, pool.maximum * cpus)
    if value is None:
        return not_checked(name, f"{STANDARD_CPUS} does not tell; the system pool needs {need.minimum} to {need.maximum} vCPUs")
    found = f"{value:.0f} vCPUs; the system pool needs {need.minimum} to {need.maximum}"
    ask = (
        f"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {STANDARD_CPUS} "
        f"--desired-value {need.maximum} --region {region}"
    )
    if value < need.minimum:
        return Check(name=name, found=found, verdict="refused", advice=ask)
    if value < need.maximum:
        return Check(name=name, found=found, verdict="note", advice=f"fewer nodes than the maximum. {ask}")
    return Check(name=name, found=found, verdict="ok")


def nat_gateways(settings: Settings) -> int:
    if settings.network.vpc_id is not None:
        return 0
    return settings.network.zones if settings.network.nat == PER_ZONE else 1


def eks_version(settings: Settings, statuses: Mapping[str, str] | None) -> Check:
    """``statuses``: by version, as EKS says: STANDARD_SUPPORT, EXTENDED_SUPPORT, UNSUPPORTED."""
    wanted = settings.eks.version
    if statuses is None:
        return not_checked("EKS version", f"{wanted}; EKS does not tell which it supports")
    standard = sorted(
        (version for version, status in statuses.items() if status == "STANDARD_SUPPORT"), key=lambda text: text.split(".")
    )
    known = ", ".join(standard)
    status = statuses.get(wanted)
    if status == "STANDARD_SUPPORT":
        return Check(name="EKS version", found=f"{wanted}, in standard support", verdict="ok")
    if status == "EXTENDED_SUPPORT":
        advice = f"six times the price an hour; in standard support: {known}"
        return Check(name="EKS version", found=f"{wanted}, in extended support", verdict="note", advice=advice)
    advice = f"make set … KEY=eks.version VALUE=… of {known}"
    return Check(name="EKS version", found=f"{wanted}, not supported", verdict="refused", advice=advice)


def refused(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if check.verdict == "refused"]


def table(checks: Sequence[Check]) -> str:
    """Check, what was found, verdict; below each what to do."""
    name = max(len(check.name) for check in checks)
    verdict = max(len(check.verdict) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"  {check.name:<{name}}  {check.verdict:<{verdict}}  {check.found}")
        if check.advice:
            lines.append(f"  {'':<{name}}  {'':<{verdict}}  -> {check.advice}")
    return "\n".join(lines)
