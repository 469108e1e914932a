"""Does a key of the stack's let in the service that is to use it? Where its policy does not, nothing can be written with it.

AWS' default policy, which a key without one has, lets in the account's own principals by their policies of IAM, and no service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from policies.customer_keys import KEYS
from policies.given import is_given
from policies.policy_documents import OWN, Principal, Statement, document, matches
from policies.relations import means
from policies.resource import Resource, Stack
from policies.rule import PASS, Verdict, fail

KEY_POLICY: Final = "aws:kms/keyPolicy:KeyPolicy"
READS: Final = {**dict.fromkeys(KEYS, ("policy",)), KEY_POLICY: ("keyId", "policy")}


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """Who uses a key on a resource's behalf. ``words``: as a message names it. ``principal``: as a key's policy does, to be
    matched as a whole. ``actions``: what it needs. ``context``: the condition's key by which it says for which resource."""

    words: str
    principal: re.Pattern[str]
    actions: Sequence[str]
    context: str = ""

    def is_named(self, principals: Iterable[Principal]) -> bool:
        return any(self.principal.fullmatch(each.name) for each in principals if each.kind in ("Service", "AWS"))


LOGS: Final = Consumer(
    words="CloudWatch Logs (logs.<region>.amazonaws.com)",
    principal=re.compile(r"logs\.([a-z0-9-]+\.)?amazonaws\.com(\.cn)?"),
    actions=("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"),
    context="kms:encryptioncontext:aws:logs:arn",
)
# docs.aws.amazon.com/autoscaling: key policies for encrypted volumes. The role hands the key on to EC2 by a grant.
AUTO_SCALING: Final = Consumer(
    words="the role AWSServiceRoleForAutoScaling, which makes the nodes",
    principal=re.compile(
        r"arn:aws[a-z-]*:iam::\d{12}:role/aws-service-role/autoscaling\.amazonaws\.com/AWSServiceRoleForAutoScaling\w*"
    ),
    actions=("kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"),
)


def service(name: str) -> Consumer:
    """One that publishes, such as ``cloudwatch``."""
    return Consumer(
        words=f"{name}.amazonaws.com",
        principal=re.compile(rf"{re.escape(name)}\.amazonaws\.com(\.cn)?"),
        actions=("kms:Decrypt", "kms:GenerateDataKey"),
    )


def lets_in(stack: Stack, key: Resource, consumer: Consumer, covers: Callable[[str], bool] = lambda _arn: True) -> Verdict:
    """``covers``: whether a value of the condition on ``consumer.context`` means the resource at hand.

    Raises what reading the policy raises (:func:`policies.policy_documents.document`).
    """
    statements = policy_of(stack, key)
    relevant = [
        statement
        for statement in statements
        if statement.allows and consumer.is_named(statement.principals) and _in_context(statement, consumer, covers)
    ]
    missing = [action for action in consumer.actions if not any(statement.covers(action) for statement in relevant)]
    return fail(f"the policy of {key.name} does not allow {', '.join(missing)} to {consumer.words}") if missing else PASS


def policy_of(stack: Stack, key: Resource) -> Sequence[Statement]:
    """Of a resource of its own where one names the key, else the key's; none where AWS' default stands."""
    separate = [each for each in stack.of_type(KEY_POLICY) if means(each, "keyId", key)]
    holders = separate or ([key] if is_given(key, "policy") else [])
    return [statement for holder in holders for statement in document(stack, holder, "policy")]


def _in_context(statement: Statement, consumer: Consumer, covers: Callable[[str], bool]) -> bool:
    conditions = statement.under(consumer.context) if consumer.context else []
    return all(any(value == OWN or covers(value) for value in condition.values) for condition in conditions)


def of_log_group(name: str) -> Callable[[str], bool]:
    """Whether the ARN of a condition, wildcards and all, means the log group of that name."""
    return lambda arn: any(matches(pattern, name) for pattern in _group_names(arn))


def _group_names(arn: str) -> list[str]:
    named = arn.partition(":log-group:")[2] or ("*" if arn.endswith("*") else "")
    return [named, named.removesuffix(":*")]
