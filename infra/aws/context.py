"""What every component on AWS is given: the settings, the place, and the provider that sets the stack's tags."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.aws.naming import BUCKET, physical
from infra.settings import Settings


@dataclass(frozen=True)
class Partition:
    """``aws``, ``aws-cn`` or ``aws-us-gov``: ARNs and host names differ. ``dns_suffix`` of the services' host names."""

    name: str
    dns_suffix: str

    def service(self, name: str) -> str:
        """A service principal. All that this stack trusts are named alike in every partition but EC2's, in China."""
        suffix = self.dns_suffix if name == "ec2" else "amazonaws.com"
        return f"{name}.{suffix}"


def partition_of(region: str) -> Partition:
    if region.startswith("cn-"):
        return Partition("aws-cn", "amazonaws.com.cn")
    if region.startswith("us-gov-"):
        return Partition("aws-us-gov", "amazonaws.com")
    return Partition("aws", "amazonaws.com")


@dataclass(frozen=True, kw_only=True)
class AwsContext:
    """``account``: the account's id, asked of AWS. ``zones``: names of as many zones as ``settings.network.zones``, which
    are looked up too; their number is the settings', so that what is made does not depend on an answer."""

    stack: str
    settings: Settings
    account: pulumi.Output[str]
    zones: tuple[pulumi.Output[str], ...]
    partition: Partition = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "partition", partition_of(self.region))

    @property
    def region(self) -> str:
        return self.settings.aws.region

    def name(self, *words: str, longest: int = 63) -> str:
        """``assistant-<stack>-<words>``; see :func:`infra.aws.naming.physical`."""
        return physical(self.stack, *words, longest=longest)

    def bucket_name(self, purpose: str) -> pulumi.Output[str]:
        """Bucket names are the world's, so account and region are part of them."""
        region = self.region
        return self.account.apply(lambda account: physical(self.stack, purpose, account, region, longest=BUCKET))

    def arn(
        self, service: str, resource: pulumi.Input[str], *, regional: bool = True, owned: bool = True
    ) -> pulumi.Output[str]:
        """``arn:<partition>:<service>:<region>:<account>:<resource>``; S3 has neither region nor account, IAM no region."""
        region = self.region if regional else ""
        prefix = f"arn:{self.partition.name}:{service}:{region}:"
        return pulumi.Output.concat(prefix, self.account if owned else "", ":", resource)


def tags(stack: str, settings: Settings) -> dict[str, str]:
    """On everything that takes tags. Pure."""
    return {
        **settings.aws.tags,
        "Application": "assistant",
        "Environment": stack,
        "Owner": settings.aws.owner,
        "DataClassification": settings.aws.data_classification,
        "ManagedBy": "pulumi",
    }


def provider(stack: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> aws.Provider:
    """The stack's own provider: an ambient region or profile changes nothing, another account than the set one is refused."""
    return aws.Provider(
        "aws",
        region=settings.aws.region,
        profile=settings.aws.profile,
        allowed_account_ids=[settings.aws.account] if settings.aws.account else None,
        default_tags=aws.ProviderDefaultTagsArgs(tags=tags(stack, settings)),
        opts=opts,
    )


def context(stack: str, settings: Settings, opts: pulumi.InvokeOptions) -> AwsContext:
    account = aws.get_caller_identity_output(opts=opts).account_id
    # Local and wavelength zones are opt-in and have few services.
    ordinary = aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])
    names = aws.get_availability_zones_output(state="available", filters=[ordinary], opts=opts).names
    zones = tuple(names[index] for index in range(settings.network.zones))
    return AwsContext(stack=stack, settings=settings, account=account, zones=zones)
