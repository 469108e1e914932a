"""A bucket joined with its siblings: since pulumi-aws 7 a resource of its own holds each of a bucket's settings.

What stands in the bucket itself (the older way) counts where no sibling speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from policies.given import is_given
from policies.relations import means
from policies.resource import Resource, Stack, View
from policies.rule import Finding, Verdict, each, fail, found, undetermined

BUCKET: Final = "aws:s3/bucket:Bucket"
BUCKET_V2: Final = "aws:s3/bucketV2:BucketV2"
BUCKETS: Final = (BUCKET, BUCKET_V2)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """``siblings``: the types that hold it, each of which names its bucket. ``reads``: their properties that decide.
    ``inline``: the bucket's own properties that hold it. ``missing``: what is to be said where nothing does."""

    siblings: tuple[str, ...]
    reads: tuple[str, ...]
    inline: tuple[str, ...] = ()
    missing: str

    @property
    def properties(self) -> dict[str, tuple[str, ...]]:
        """For ``Relation.reads``."""
        return dict.fromkeys(self.siblings, ("bucket", *self.reads)) | dict.fromkeys(BUCKETS, self.inline)


def each_bucket(stack: Stack, judge: Callable[[Resource], Verdict]) -> list[Finding]:
    return [found(bucket, partial(judge, bucket)) for bucket in stack.of_type(*BUCKETS)]


def setting_of(
    stack: Stack,
    bucket: Resource,
    setting: Setting,
    sibling: Callable[[Resource], Verdict],
    inline: Callable[[Sequence[View]], Verdict] | None = None,
) -> Verdict:
    """What the siblings of ``bucket`` that hold ``setting`` say, else what the bucket itself does."""
    related = [(child, means(child, "bucket", bucket)) for child in stack.of_type(*setting.siblings)]
    own = [child for child, belongs in related if belongs]
    if own:
        return each(*(partial(_named, child, sibling) for child in own))
    unclear = [child.name for child, belongs in related if belongs is None]
    if unclear:
        return undetermined(f"{unclear[0]}: bucket is not known before the update, and may be this one")
    held = [view for name in setting.inline for view in _mappings(bucket, name)]
    return inline(held) if inline and held else fail(setting.missing)


def _mappings(bucket: Resource, name: str) -> Sequence[View]:
    """The property as a list of mappings; ``Bucket`` has one mapping where ``BucketV2`` has a list."""
    if not is_given(bucket, name):
        return []
    if isinstance(bucket.view.raw(name), list):
        return bucket.view.mappings(name) or []
    view = bucket.view.mapping(name)
    return [view] if view else []


def _named(child: Resource, judge: Callable[[Resource], Verdict]) -> Verdict:
    """The finding is the bucket's; its reasons say in which resource the property stands."""
    verdict = found(child, partial(judge, child)).verdict
    return Verdict(verdict.outcome, tuple(f"{child.name}: {reason}" for reason in verdict.reasons))


CLOSED: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
PUBLIC_ACCESS: Final = Setting(
    siblings=("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",),
    reads=CLOSED,
    missing="no BucketPublicAccessBlock names this bucket: a policy or an access list could open it to the world",
)
VERSIONING: Final = Setting(
    siblings=("aws:s3/bucketVersioning:BucketVersioning", "aws:s3/bucketVersioningV2:BucketVersioningV2"),
    reads=("versioningConfiguration",),
    inline=("versioning", "versionings"),
    missing="no BucketVersioning names this bucket: what is overwritten or deleted is lost",
)
ENCRYPTION: Final = Setting(
    siblings=(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
    ),
    reads=("rules",),
    inline=("serverSideEncryptionConfiguration", "serverSideEncryptionConfigurations"),
    missing="no BucketServerSideEncryptionConfiguration names this bucket: Amazon's own key encrypts it, which everybody uses",
)
LIFECYCLE: Final = Setting(
    siblings=(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2",
    ),
    reads=("rules",),
    inline=("lifecycleRules",),
    missing="no BucketLifecycleConfiguration names this bucket: what nobody needs any more stays for ever",
)
LOGGING: Final = Setting(
    siblings=("aws:s3/bucketLogging:BucketLogging", "aws:s3/bucketLoggingV2:BucketLoggingV2"),
    reads=("targetBucket",),
    inline=("logging", "loggings"),
    missing="no BucketLogging names this bucket: nobody can say who read it",
)
LOCK: Final = Setting(
    siblings=(
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        "aws:s3/bucketObjectLockConfigurationV2:BucketObjectLockConfigurationV2",
    ),
    reads=("objectLockEnabled", "rule"),
    inline=("objectLockConfiguration",),
    missing="no BucketObjectLockConfiguration names this audit bucket: whoever gets in can delete the traces",
)
