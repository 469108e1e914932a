"""``make orphans STACK=…``: what a destroyed stack has left in the account, told apart from what is kept on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.aws.naming import log_group, physical
from infra.aws.session import client, session
from infra.settings import Settings
from tools.stack.engine import EngineError

CLUSTER = 100  # the longest name, of EKS and ECS alike in this stack
GONE = frozenset({"terminated", "deleted", "deleting", "PendingDeletion"})


@dataclass(frozen=True, kw_only=True)
class Found:
    """``left``: costs or blocks, and should not be there. ``kept``: with the reason why it is."""

    left: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    blind: tuple[str, ...] = ()


def show(stack: str, settings: Settings) -> int:
    """1 where something is left. Raises :class:`EngineError` where AWS cannot be asked."""
    try:
        found = find(stack, settings)
    except (BotoCoreError, ClientError) as error:
        raise EngineError(f"What {stack} has left behind cannot be seen: {error}") from None
    print(report(stack, found), end="", flush=True)
    return 1 if found.left else 0


def report(stack: str, found: Found) -> str:
    """Pure."""
    lines = [f"{len(found.left)} orphans of {stack}" if found.left else f"Nothing of {stack} is left that should not be."]
    if found.left:
        lines += [
            *(f"  {arn}" for arn in found.left),
            f"AWS' index forgets within minutes; look again: make orphans STACK={stack}",
        ]
    if found.kept:
        lines += ["Kept on purpose:", *(f"  {arn} ({why})" for arn, why in sorted(found.kept.items()))]
    lines += [f"Not looked at: {what}" for what in found.blind]
    return "\n".join(lines) + "\n"


def find(stack: str, settings: Settings) -> Found:
    """By the stack's tags, which AWS indexes within minutes; interfaces and log groups that services made by where they are."""
    opened = session(settings.aws.region, settings.aws.profile)
    tagged = _tagged(client(opened, "resourcegroupstaggingapi"), stack)
    kms, s3, ec2 = client(opened, "kms"), client(opened, "s3"), client(opened, "ec2")
    kept, left, blind = {}, [], []
    for arn, labels in tagged.items():
        if why := retained(arn, labels, _key_state(kms, arn)):
            kept[arn] = why
        elif _exists(arn, ec2, s3):
            left.append(arn)
    asked: dict[str, Callable[[], Iterable[str]]] = {
        "interfaces": lambda: _interfaces(ec2, stack),
        "log groups": lambda: _groups(opened, stack),
    }
    for what, ask in asked.items():
        try:
            left.extend(name for name in ask() if name not in left and name not in kept)
        except (BotoCoreError, ClientError) as error:
            blind.append(f"{what} ({error})")
    return Found(left=tuple(sorted(left)), kept=kept, blind=tuple(blind))


def retained(arn: str, labels: Mapping[str, str], key_state: str | None) -> str | None:
    """Why a resource is there after a destroy, or None where it should not be. Pure."""
    service = arn.split(":")[2]
    if key_state == "PendingDeletion":
        return "a key; AWS deletes it after its waiting time"
    if labels.get("Purpose") == "pulumi-state":
        return "the state itself, of make bootstrap"
    if service == "s3" and "-audit-" in f"{arn}-":
        return "the audit log, kept for its retention"
    if service == "secretsmanager" and labels.get("aws:secretsmanager:deleted"):
        return "a secret within its recovery window"
    if service == "backup":
        return "recovery points, kept for their retention"
    return None


def _tagged(tagging: Any, stack: str) -> dict[str, dict[str, str]]:
    wanted = {"Application": "assistant", "Environment": stack}
    filters = [{"Key": key, "Values": [value]} for key, value in wanted.items()]
    found: dict[str, dict[str, str]] = {}
    for page in tagging.get_paginator("get_resources").paginate(TagFilters=filters):
        for mapping in page["ResourceTagMappingList"]:
            found[mapping["ResourceARN"]] = {tag["Key"]: tag["Value"] for tag in mapping["Tags"]}
    return found


def _key_state(kms: Any, arn: str) -> str | None:
    if arn.split(":")[2] != "kms":
        return None
    try:
        return str(kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"])
    except (BotoCoreError, ClientError):
        return None


def _exists(arn: str, ec2: Any, s3: Any) -> bool:
    """The index names what is gone for a while: what is cheap to ask for is asked for."""
    service, resource = arn.split(":")[2], arn.split(":", 5)[5]
    try:
        if service == "s3":
            s3.head_bucket(Bucket=resource)
        elif service == "ec2" and resource.startswith("natgateway/"):
            listed = ec2.describe_nat_gateways(NatGatewayIds=[resource.partition("/")[2]])["NatGateways"]
            return any(gateway["State"] not in GONE for gateway in listed)
        elif service == "ec2" and resource.startswith("instance/"):
            reservations = ec2.describe_instances(InstanceIds=[resource.partition("/")[2]])["Reservations"]
            states = [instance["State"]["Name"] for each in reservations for instance in each["Instances"]]
            return any(state not in GONE for state in states)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return code not in ("404", "NoSuchBucket") and not code.endswith(".NotFound") and code != "NatGatewayNotFound"
    return True


def _interfaces(ec2: Any, stack: str) -> Iterable[str]:
    """Network interfaces of load balancers and nodes, which AWS removes late and which then hold VPC and groups."""
    mine = [{"Name": "tag:Application", "Values": ["assistant"]}, {"Name": "tag:Environment", "Values": [stack]}]
    vpcs = [vpc["VpcId"] for vpc in ec2.describe_vpcs(Filters=mine)["Vpcs"]]
    if not vpcs:
        return []
    listed = ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": vpcs}])["NetworkInterfaces"]
    return [f"{one['NetworkInterfaceId']} in {one['VpcId']}: {one.get('Description') or 'an interface'}" for one in listed]


def _groups(opened: Any, stack: str) -> Iterable[str]:
    """Log groups that a service has made, or made anew after theirs was deleted: EKS writes on for minutes, and the next `up`
    would find the name of its group taken."""
    cluster = physical(stack, longest=CLUSTER)
    prefixes = (
        log_group(stack),
        f"/aws/eks/{cluster}",
        f"/aws/containerinsights/{cluster}",
        f"/aws/ecs/containerinsights/{cluster}",
    )
    logs = client(opened, "logs").get_paginator("describe_log_groups")
    pages = [page for prefix in prefixes for page in logs.paginate(logGroupNamePrefix=f"{prefix}/")]
    return [group["arn"].removesuffix(":*") for page in pages for group in page["logGroups"]]
