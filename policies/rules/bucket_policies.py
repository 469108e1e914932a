"""What buckets' policies deny: everything that does not come over TLS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from policies.buckets import Setting, each_bucket, setting_of
from policies.given import is_given
from policies.policy_documents import EVERYBODY, OWN, Principal, Statement, document, matches
from policies.relations import means
from policies.resource import Resource, Stack
from policies.rule import PASS, Finding, Relation, Rule, Severity, Verdict, fail, undetermined
from policies.rules import links

PARTITIONS: Final = ("aws", "aws-cn", "aws-us-gov")
POLICY: Final = Setting(
    siblings=("aws:s3/bucketPolicy:BucketPolicy",),
    reads=("policy",),
    inline=("policy",),
    missing="no BucketPolicy names this bucket: it can be read without TLS",
)


def over_tls_alone(stack: Stack) -> Sequence[Finding]:
    def judge(bucket: Resource) -> Verdict:
        def sibling(policy: Resource) -> Verdict:
            return _denies_plain(stack, policy, bucket)

        if not any(means(policy, "bucket", bucket) is not False for policy in stack.of_type(*POLICY.siblings)):
            return sibling(bucket) if is_given(bucket, "policy") else fail(POLICY.missing)
        return setting_of(stack, bucket, POLICY, sibling)

    return each_bucket(stack, judge)


def _denies_plain(stack: Stack, policy: Resource, bucket: Resource) -> Verdict:
    denied = [statement for statement in document(stack, policy, "policy") if _is_about_plain(statement)]
    patterns = [pattern for statement in denied for pattern in statement.resources]
    # Where the identifiers in the document are not known yet, the bucket's own and that of its objects are two.
    if policy.property_dependencies.get("policy") == (bucket.urn,) and patterns.count(OWN) > 1:
        return PASS
    name = bucket.view.text("bucket") or bucket.view.text("id")
    if not name:
        return undetermined("policy: the bucket's name is not known before the update")
    # Of its objects, two by which a pattern for some of them is told from one for all.
    wanted = {"the bucket": (name,), "its objects": (f"{name}/a", f"{name}/b/c")}
    missing = [
        words
        for words, names in wanted.items()
        if not all(any(_covers(pattern, each) for pattern in patterns) for each in names)
    ]
    return fail(f"policy denies {' and '.join(missing)} to nobody who comes without TLS") if missing else PASS


def _is_about_plain(statement: Statement) -> bool:
    """Denies everybody everything on one condition alone: that the request did not come over TLS."""
    if not statement.denies or statement.not_principals or not _is_everybody(statement.principals):
        return False
    if not any(action in ("*", "s3:*") for action in map(str.lower, statement.actions)) or len(statement.conditions) != 1:
        return False
    condition = statement.conditions[0]
    values = tuple(value.lower() for value in condition.values)
    return (condition.test, condition.key, values) == ("bool", "aws:securetransport", ("false",))


def _is_everybody(principals: Sequence[Principal]) -> bool:
    return any(principal.kind in (EVERYBODY, "AWS") and principal.name == EVERYBODY for principal in principals)


def _covers(pattern: str, name: str) -> bool:
    return any(matches(pattern, f"arn:{partition}:s3:::{name}") for partition in PARTITIONS)


RULES: Final = (
    Rule(
        id="R65",
        name="bucket-tls-only",
        title="Buckets deny what does not come over TLS",
        severity=Severity.HIGH,
        controls=("8.24", "8.20"),
        remedy="deny s3:* to everybody, on the bucket and on its objects, where aws:SecureTransport is false",
        link=links.BUCKET_TLS,
        relations=(Relation(reads=POLICY.properties, judge=over_tls_alone),),
    ),
)
