"""Buckets, each joined with the siblings that hold its settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.buckets import (
    BUCKETS,
    CLOSED,
    ENCRYPTION,
    LIFECYCLE,
    LOCK,
    LOGGING,
    PUBLIC_ACCESS,
    VERSIONING,
    each_bucket,
    setting_of,
)
from policies.customer_keys import customer_key
from policies.relations import means
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Finding, Relation, Rule, Severity, Verdict, all_of, each, fail, found
from policies.rules import bucket_policies, links
from policies.show import show
from policies.values import UNKNOWN

ACCOUNT_CLOSED: Final = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"
KMS_ALGORITHMS: Final = ("aws:kms", "aws:kms:dsse")
AMAZONS_OWN: Final = "AES256"
LOCK_MODES: Final = ("GOVERNANCE", "COMPLIANCE")
NARROWING: Final = ("and", "tag", "tags", "objectSizeGreaterThan", "objectSizeLessThan")
LONGEST_UPLOAD_DAYS: Final = 30  # an upload in parts that has not ended by then never will

TRAIL: Final = "aws:cloudtrail/trail:Trail"
DELIVERY_CHANNEL: Final = "aws:cfg/deliveryChannel:DeliveryChannel"
AUDITORS: Final = {TRAIL: "s3BucketName", DELIVERY_CHANNEL: "s3BucketName"}
AUDIT_NAME: Final = re.compile(r"(?<![a-z])(?:audits?|cloudtrail)(?![a-z])")
BALANCERS: Final = (
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:alb/loadBalancer:LoadBalancer",
    "aws:elb/loadBalancer:LoadBalancer",
)


def closed_to_the_public(stack: Stack) -> Sequence[Finding]:
    accounts = stack.of_type(ACCOUNT_CLOSED)
    if accounts and all(found(account, partial(_all_four, account)).verdict == PASS for account in accounts):
        return each_bucket(stack, lambda _bucket: PASS)
    return each_bucket(stack, lambda bucket: setting_of(stack, bucket, PUBLIC_ACCESS, _all_four))


def _all_four(block: Resource) -> Verdict:
    return each(*(partial(_closed, block.view, name) for name in CLOSED))


def _closed(view: View, name: str) -> Verdict:
    if view.boolean(name):
        return PASS
    return fail(f"{name} is {'false' if name in view else 'not set'}: all four ways must be closed")


def versioned(stack: Stack) -> Sequence[Finding]:
    return each_bucket(stack, lambda bucket: setting_of(stack, bucket, VERSIONING, _is_versioned, _was_versioned))


def _is_versioned(sibling: Resource) -> Verdict:
    held = sibling.view.mapping("versioningConfiguration")
    status = held.text("status") if held else None
    if status == "Enabled":
        return PASS
    return fail(f"versioningConfiguration.status is {show(status or 'not set')}, not Enabled")


def _was_versioned(held: Sequence[View]) -> Verdict:
    return all_of(PASS if view.boolean("enabled") else fail(f"{view.path('enabled')} is not true") for view in held)


def encrypted(stack: Stack) -> Sequence[Finding]:
    def judge(bucket: Resource) -> Verdict:
        amazons_own = takes_logs(stack, bucket)

        def sibling(child: Resource) -> Verdict:
            return _encryption_rules(stack, child, child.view, amazons_own)

        def inline(held: Sequence[View]) -> Verdict:
            return each(*(partial(_encryption_rules, stack, bucket, view, amazons_own) for view in held))

        return setting_of(stack, bucket, ENCRYPTION, sibling, inline)

    return each_bucket(stack, judge)


def takes_logs(stack: Stack, bucket: Resource) -> bool:
    """Whether S3's or a load balancer's access logs are delivered to it, which they are with Amazon's own key alone
    (docs.aws.amazon.com: elasticloadbalancing, enable access logging; AmazonS3, server access logging)."""
    balanced = any(means(balancer, "accessLogs", bucket) for balancer in stack.of_type(*BALANCERS))
    return balanced or any(means(logging, "targetBucket", bucket) for logging in stack.of_type(*LOGGING.siblings))


def _encryption_rules(stack: Stack, child: Resource, view: View, amazons_own: bool) -> Verdict:
    rules = _one_or_more(view, "rule", "rules")
    if not rules:
        return fail(f"{view.path('rules')} is empty: Amazon's own key encrypts the bucket, which everybody uses")
    defaults = [
        default
        for rule in rules
        for default in _one_or_more(rule, "applyServerSideEncryptionByDefault", "applyServerSideEncryptionByDefaults")
    ]
    if not defaults:
        return fail(f"{rules[0].path('applyServerSideEncryptionByDefault')} is not set")
    return each(*(partial(_encryption, stack, child, default, amazons_own) for default in defaults))


def _encryption(stack: Stack, child: Resource, default: View, amazons_own: bool) -> Verdict:
    algorithm = default.text("sseAlgorithm") or "not set"
    if algorithm in KMS_ALGORITHMS:
        return customer_key(stack, child, default, "kmsMasterKeyId")
    if algorithm == AMAZONS_OWN and amazons_own:
        return PASS
    return fail(f"{default.path('sseAlgorithm')} is {show(algorithm)}, not aws:kms with a key of yours")


def _one_or_more(view: View, one: str, more: str) -> list[View]:
    """The provider's older types have a list where the newer ones have a mapping, or the other way round."""
    single = view.mapping(one)
    return ([single] if single else []) + (view.mappings(more) or [])


def ended(stack: Stack) -> Sequence[Finding]:
    return each_bucket(stack, lambda bucket: setting_of(stack, bucket, LIFECYCLE, _lifecycle_of, _lifecycle))


def _lifecycle_of(sibling: Resource) -> Verdict:
    return _lifecycle(sibling.view.mappings("rules") or [])


def _lifecycle(rules: Sequence[View]) -> Verdict:
    enabled = [rule for rule in rules if rule.text("status") == "Enabled" or rule.boolean("enabled")]
    return all_of(
        [
            PASS
            if any(_ends_something(rule) for rule in enabled)
            else fail("no rule of the lifecycle that is enabled lets objects or their old versions expire"),
            PASS
            if any(_whole_bucket(rule) and 0 < _upload_days(rule) <= LONGEST_UPLOAD_DAYS for rule in enabled)
            else fail(
                "no rule of the lifecycle that is enabled and for the whole bucket aborts uploads in parts "
                f"(abortIncompleteMultipartUpload within {LONGEST_UPLOAD_DAYS} days)"
            ),
        ]
    )


def _ends_something(rule: View) -> bool:
    expirations = _one_or_more(rule, "expiration", "expirations")
    older = _one_or_more(rule, "noncurrentVersionExpiration", "noncurrentVersionExpirations")
    days = [each.integer(name) or 0 for each in (*expirations, *older) for name in ("days", "noncurrentDays")]
    return any(each > 0 for each in days) or any(each.text("date") for each in expirations)


def _whole_bucket(rule: View) -> bool:
    narrowed = [view for view in (rule, rule.mapping("filter")) if view]
    return not any(view.text("prefix") or any(name in view for name in NARROWING) for view in narrowed)


def _upload_days(rule: View) -> int:
    abort = rule.mapping("abortIncompleteMultipartUpload")
    return (abort.integer("daysAfterInitiation") if abort else rule.integer("abortIncompleteMultipartUploadDays")) or 0


def logged(stack: Stack) -> Sequence[Finding]:
    def judge(bucket: Resource) -> Verdict:
        if takes_logs(stack, bucket):
            return PASS  # it would log its own logging, without an end

        def sibling(child: Resource) -> Verdict:
            if child.view.raw("targetBucket") is UNKNOWN and child.property_dependencies.get("targetBucket"):
                return PASS
            return PASS if child.view.text("targetBucket") else fail("targetBucket is not set")

        def inline(held: Sequence[View]) -> Verdict:
            return all_of(
                PASS if view.text("targetBucket") else fail(f"{view.path('targetBucket')} is not set") for view in held
            )

        return setting_of(stack, bucket, LOGGING, sibling, inline)

    return each_bucket(stack, judge)


def audit_is_locked(stack: Stack) -> Sequence[Finding]:
    kept = [bucket for bucket in stack.of_type(*BUCKETS) if holds_audit(stack, bucket)]
    return [found(bucket, partial(setting_of, stack, bucket, LOCK, _locked, _were_locked)) for bucket in kept]


def holds_audit(stack: Stack, bucket: Resource) -> bool:
    """By who delivers to it, or by its name."""
    delivered = any(
        means(auditor, name, bucket) is not False for kind, name in AUDITORS.items() for auditor in stack.of_type(kind)
    )
    named = bucket.view.raw("bucket")
    return delivered or any(AUDIT_NAME.search(text.lower()) for text in (bucket.name, named) if isinstance(text, str))


def _locked(sibling: Resource) -> Verdict:
    return _lock(sibling.view)


def _were_locked(held: Sequence[View]) -> Verdict:
    return all_of(_lock(view) for view in held)


def _lock(view: View) -> Verdict:
    enabled = view.text("objectLockEnabled")
    if enabled not in (None, "Enabled"):
        return fail(f"{view.path('objectLockEnabled')} is {show(enabled)}, not Enabled")
    rule = view.mapping("rule")
    retention = rule.mapping("defaultRetention") if rule else None
    if retention is None:
        return fail(f"{view.path('rule')}.defaultRetention is not set: nothing keeps what is written from being deleted")
    mode, days, years = retention.text("mode"), retention.integer("days") or 0, retention.integer("years") or 0
    return all_of(
        [
            PASS
            if mode in LOCK_MODES
            else fail(f"{retention.path('mode')} is {show(mode or 'not set')}: say GOVERNANCE or COMPLIANCE"),
            PASS if days > 0 or years > 0 else fail(f"{retention.path('days')} is not set: the lock ends at once"),
        ]
    )


RULES: Final = (
    Rule(
        id="R17",
        name="bucket-public-access",
        title="Every bucket blocks public access, all four ways",
        severity=Severity.CRITICAL,
        controls=("8.3", "8.12"),
        remedy="give the bucket a BucketPublicAccessBlock with all four properties true (infra/aws/bucket.py)",
        link=links.BUCKET_PUBLIC_ACCESS,
        relations=(Relation(reads={**PUBLIC_ACCESS.properties, ACCOUNT_CLOSED: CLOSED}, judge=closed_to_the_public),),
    ),
    Rule(
        id="R64",
        name="bucket-customer-key",
        title="Buckets are encrypted with a customer key (SSE-KMS)",
        severity=Severity.HIGH,
        controls=("8.24",),
        remedy="name a key of yours in the bucket's BucketServerSideEncryptionConfiguration (aws:kms, kmsMasterKeyId)",
        link=links.BUCKET_ENCRYPTION,
        relations=(Relation(reads=ENCRYPTION.properties, judge=encrypted),),
    ),
    *bucket_policies.RULES,
    Rule(
        id="R39",
        name="bucket-versioning",
        title="Buckets keep the versions of their objects",
        severity=Severity.HIGH,
        controls=("8.13", "5.33"),
        remedy="give the bucket a BucketVersioning with status Enabled",
        link=links.BUCKET_VERSIONING,
        relations=(Relation(reads=VERSIONING.properties, judge=versioned),),
    ),
    Rule(
        id="R11",
        name="audit-bucket-lock",
        title="The audit bucket has Object Lock",
        severity=Severity.HIGH,
        controls=("5.33", "5.28", "8.15"),
        remedy="give the bucket a BucketObjectLockConfiguration with a default retention (mode and days)",
        link=links.BUCKET_LOCK,
        relations=(
            Relation(reads={**LOCK.properties, **{kind: (name,) for kind, name in AUDITORS.items()}}, judge=audit_is_locked),
        ),
    ),
    Rule(
        id="R33",
        name="bucket-lifecycle",
        title="Buckets have a lifecycle, aborted uploads included",
        severity=Severity.MEDIUM,
        controls=("8.10",),
        remedy="let a rule of the BucketLifecycleConfiguration end objects or old versions, and abort uploads in parts",
        link=links.BUCKET_LIFECYCLE,
        relations=(Relation(reads=LIFECYCLE.properties, judge=ended),),
    ),
    Rule(
        id="R47",
        name="bucket-access-logs",
        title="Accesses to buckets are logged",
        severity=Severity.MEDIUM,
        controls=("8.15", "5.28"),
        remedy="give the bucket a BucketLogging that names the bucket for access logs",
        link=links.BUCKET_LOGGING,
        relations=(Relation(reads=LOGGING.properties, judge=logged),),
    ),
)
