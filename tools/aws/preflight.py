"""What an AWS stack presupposes, asked before anything is made: ``make preflight STACK=…``, and every `up`."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.aws.naming import secret_name
from infra.aws.secret_writing import current_of
from infra.aws.session import client, session
from infra.credentials import Credentials, wanted
from infra.settings import Settings
from tools.aws import checks, delegation, means
from tools.aws.checks import ADDRESSES, NATS, VPCS, Check
from tools.aws.means import Identity, Means
from tools.stack.engine import Engine, EngineError


def run(engine: Engine) -> int:
    """``make preflight``: the table, and 1 where an `up` would be refused."""
    settings = engine.settings()
    identity, problem = means.whoami(settings)
    found = static(settings, engine.stack)
    if identity is None:
        found.append(Check(name="credentials", found="none answer", verdict="refused", advice=problem or ""))
    else:
        found.extend(dynamic(engine.stack, settings, identity))
    print(f"Preflight of {engine.stack}\n{checks.table(found)}", flush=True)
    if refusals := checks.refused(found):
        print(f"\nmake up STACK={engine.stack} is refused until {_count(refusals)} mended.", file=sys.stderr)
        return 1
    return 0


def required(engine: Engine, settings: Settings, found: Means) -> None:
    """Raises :class:`EngineError` where an `up` cannot come to a good end. Stand-ins have no account to be asked about."""
    if settings.aws.endpoint_url and not found.standins:
        raise EngineError(
            f"aws.endpointUrl of stack {engine.stack} is {settings.aws.endpoint_url}: every pod and task would take that "
            "address for AWS. It is for emulators alone. Nothing was changed: remove it from "
            f"stacks/{engine.configuration.name}."
        )
    results = static(settings, engine.stack)
    if found.identity is not None:
        results.extend(dynamic(engine.stack, settings, found.identity))
    elif found.standins:
        results = [check for check in results if check.name != "example values"]
    print(f"Preflight\n{checks.table(results)}\n", flush=True)
    if refusals := checks.refused(results):
        raise EngineError(f"Nothing was changed: {_count(refusals)} to be mended first (make preflight STACK={engine.stack}).")


def warn(stack: str, settings: Settings) -> None:
    """Before a preview: what an `up` would be refused for, as far as no account is needed to know it."""
    for check in checks.refused(static(settings, stack)):
        print(f"note: an up is refused for its {check.name}: {check.found} -> {check.advice}", file=sys.stderr, flush=True)


def static(settings: Settings, stack: str) -> list[Check]:
    return [checks.examples(settings), checks.model(settings, stack)]


def dynamic(stack: str, settings: Settings, identity: Identity) -> list[Check]:
    """What the account says. What it does not say, for want of a permission or of the service, is not checked, and said."""
    opened = session(settings.aws.region, settings.aws.profile)
    ask: Callable[[str], Any] = lambda service: client(opened, service)  # noqa: E731 - a partial would hide the type
    return [
        checks.principal(identity, settings),
        _asked("region", lambda: checks.region(settings, _region_status(ask("ec2"), settings.aws.region))),
        *_zone(settings, ask),
        *_gpu_quotas(settings, ask),
        *_network(stack, settings, ask),
        *_platforms(stack, settings, ask),
        *([checks.login_program(shutil.which("aws"))] if settings.target == "eks" else []),
        *_eks(settings, ask),
    ]


def _asked(name: str, ask: Callable[[], Check]) -> Check:
    try:
        return ask()
    except ClientError as error:
        return checks.not_checked(name, f"{error.operation_name}: {error.response['Error'].get('Code', 'refused')}")
    except BotoCoreError as error:
        return checks.not_checked(name, str(error))


def _region_status(ec2: Any, name: str) -> str | None:
    regions = ec2.describe_regions(AllRegions=True)["Regions"]
    return next((str(region.get("OptInStatus", "")) for region in regions if region["RegionName"] == name), None)


def _zone(settings: Settings, ask: Callable[[str], Any]) -> Iterator[Check]:
    name = settings.edge.zone
    if name:
        yield _asked("zone", lambda: checks.zone(name, _name_servers(ask("route53"), name), delegation.name_servers(name)))


def _name_servers(route53: Any, name: str) -> list[str] | None:
    listed = route53.list_hosted_zones_by_name(DNSName=name, MaxItems="10")["HostedZones"]
    for zone in listed:
        if zone["Name"].rstrip(".") == name and not zone.get("Config", {}).get("PrivateZone"):
            described = route53.get_hosted_zone(Id=zone["Id"])
            return list((described.get("DelegationSet") or {}).get("NameServers") or [])
    return None


def _gpu_quotas(settings: Settings, ask: Callable[[str], Any]) -> Iterator[Check]:
    for code, need in sorted(checks.gpu_needs(settings.gpu_pools).items()):
        value = _quota(ask("service-quotas"), "ec2", code)
        yield checks.gpu_quota(code, need, value, settings)


def _network(stack: str, settings: Settings, ask: Callable[[str], Any]) -> Iterator[Check]:
    """The stack's VPC and addresses, unless they stand or are the user's own."""
    nats = checks.nat_gateways(settings)
    if not nats:
        return
    ec2, quotas, region = ask("ec2"), ask("service-quotas"), settings.aws.region
    mine = [{"Name": "tag:Application", "Values": ["assistant"]}, {"Name": "tag:Environment", "Values": [stack]}]
    with contextlib.suppress(BotoCoreError, ClientError):
        if ec2.describe_vpcs(Filters=mine)["Vpcs"]:
            return
    for name, quota, needed, used in (
        ("VPCs", VPCS, 1, lambda: len(ec2.describe_vpcs()["Vpcs"])),
        ("addresses", ADDRESSES, nats, lambda: len(ec2.describe_addresses()["Addresses"])),
        ("NAT gateways", NATS, 1, lambda: _most_a_zone(ec2)),
    ):
        yield _asked(
            name,
            lambda name=name, quota=quota, needed=needed, used=used: checks.counted(  # type: ignore[misc]
                name, quota, used(), needed, _quota(quotas, quota[0], quota[1]), region
            ),
        )


def _most_a_zone(ec2: Any) -> int:
    """NAT gateways in the zone that has most of them: the new ones may go there."""
    gateways = ec2.describe_nat_gateways(Filters=[{"Name": "state", "Values": ["pending", "available"]}])["NatGateways"]
    subnets = {gateway["SubnetId"] for gateway in gateways}
    if not subnets:
        return 0
    described = ec2.describe_subnets(SubnetIds=sorted(subnets))["Subnets"]
    zones = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in described}
    placed = [zones[gateway["SubnetId"]] for gateway in gateways]
    return max(placed.count(zone) for zone in placed)


def _platforms(stack: str, settings: Settings, ask: Callable[[str], Any]) -> Iterator[Check]:
    """What a person has to bring, before there is anything that waits for it."""
    names, entered = wanted(settings.platforms).required, Credentials(stack)
    if not names:
        return
    brought = entered.brought(names, os.environ)

    def look() -> Check:
        manager = ask("secretsmanager")
        missing = [name for name in names if name not in brought and not _has_value(manager, secret_name(stack, name))]
        return checks.entered(missing, list(dict.fromkeys(map(entered.command, missing))))

    yield _asked("platforms' secrets", look)


def _has_value(manager: Any, place: str) -> bool:
    try:
        return current_of(manager.describe_secret(SecretId=place).get("VersionIdsToStages") or {}) is not None
    except manager.exceptions.ResourceNotFoundException:
        return False


def _quota(quotas: Any, service: str, code: str) -> float | None:
    """The account's own value, else AWS' default; None where neither is told."""
    for ask in (quotas.get_service_quota, quotas.get_aws_default_service_quota):
        with contextlib.suppress(BotoCoreError, ClientError):
            return float(ask(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])
    return None


def _eks(settings: Settings, ask: Callable[[str], Any]) -> Iterator[Check]:
    if settings.target != "eks":
        return
    if settings.keys.arn is None:
        yield _asked("scaling role", lambda: checks.scaling_role(there=_has_role(ask("iam"), checks.SCALING_ROLE)))
    if settings.eks.cluster_name:
        return
    yield _asked("EKS version", lambda: checks.eks_version(settings, _eks_versions(ask("eks"))))
    pool, value = settings.eks.system_pool, _quota(ask("service-quotas"), "ec2", checks.STANDARD_CPUS)
    yield _asked(
        "CPUs of nodes",
        lambda: checks.node_cpus(pool, _most_cpus(ask("ec2"), pool.instance_types), value, settings.aws.region),
    )


def _most_cpus(ec2: Any, kinds: Sequence[str]) -> int:
    described = ec2.describe_instance_types(InstanceTypes=list(kinds))["InstanceTypes"]
    return max(int(kind["VCpuInfo"]["DefaultVCpus"]) for kind in described)


def _has_role(iam: Any, name: str) -> bool:
    try:
        iam.get_role(RoleName=name)
    except iam.exceptions.NoSuchEntityException:
        return False
    return True


def _eks_versions(eks: Any) -> dict[str, str] | None:
    listed = eks.describe_cluster_versions(includeAll=True).get("clusterVersions") or []
    return {entry["clusterVersion"]: str(entry.get("versionStatus", "")).upper() for entry in listed} or None


def _count(refusals: list[Check]) -> str:
    names = ", ".join(check.name for check in refusals)
    return f"{names} {'is' if len(refusals) == 1 else 'are'}"
