"""Keys of KMS: rotated and not thrown away in haste, and used by what must not lie under a key of everybody's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from policies.customer_keys import KEY, KEYS, customer_key, own_keys
from policies.given import is_given
from policies.key_policies import LOGS, READS, lets_in, of_log_group
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Check, Finding, Relation, Remediation, Rule, Severity, Verdict, each, fail, found
from policies.rules import links, log_groups, volumes
from policies.show import show
from policies.values import Value

SHORTEST_WINDOW_DAYS: Final = 14
USUAL_WINDOW_DAYS: Final = 30  # KMS' own default, and the longest
LONGEST_PERIOD_DAYS: Final = 365  # KMS' own default
SYMMETRIC: Final = "SYMMETRIC_DEFAULT"

REPOSITORY: Final = "aws:ecr/repository:Repository"
TEMPLATE: Final = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
KMS_TYPES: Final = ("KMS", "KMS_DSSE")


def rotated(key: Resource) -> Verdict:
    view = key.view
    return each(*([partial(_rotation, view)] if key.type == KEY else []), partial(_window, view))


def _rotation(view: View) -> Verdict:
    if (view.text("customerMasterKeySpec") or SYMMETRIC) != SYMMETRIC or view.text("customKeyStoreId"):
        return PASS  # KMS rotates neither (docs.aws.amazon.com/kms: rotating keys)
    if not view.boolean("enableKeyRotation"):
        return fail(f"enableKeyRotation is {'false' if 'enableKeyRotation' in view else 'not set'}: the key is never rotated")
    days = view.integer("rotationPeriodInDays")
    if days is not None and days > LONGEST_PERIOD_DAYS:
        return fail(f"rotationPeriodInDays is {days}, more than {LONGEST_PERIOD_DAYS}")
    return PASS


def _window(view: View) -> Verdict:
    days = view.integer("deletionWindowInDays")
    if days is None or days >= SHORTEST_WINDOW_DAYS:
        return PASS
    return fail(
        f"deletionWindowInDays is {days}: in less than {SHORTEST_WINDOW_DAYS} days nobody notices what can no longer be read"
    )


def rotating(key: Resource) -> Mapping[tuple[str, ...], Value]:
    changes: dict[tuple[str, ...], Value] = {}
    if _window(key.view) != PASS:
        changes["deletionWindowInDays",] = USUAL_WINDOW_DAYS
    if key.type == KEY and _rotation(key.view) != PASS:
        changes["enableKeyRotation",] = True
        if "rotationPeriodInDays" in key.view:
            changes["rotationPeriodInDays",] = LONGEST_PERIOD_DAYS
    return changes


def under_a_customer_key(stack: Stack) -> Sequence[Finding]:
    groups = [found(group, partial(_group, stack, group)) for group in stack.of_type(log_groups.LOG_GROUP)]
    registries = [found(each, partial(_registry, stack, each)) for each in stack.of_type(REPOSITORY, TEMPLATE)]
    return [*groups, *registries]


def _group(stack: Stack, group: Resource) -> Verdict:
    view = group.view
    if not is_given(group, "kmsKeyId"):
        return fail("kmsKeyId is not set: a key that AWS owns encrypts the log group, whose use nobody can follow")
    name = view.raw("name")
    covers = of_log_group(name) if isinstance(name, str) else lambda _arn: True
    uses = [partial(lets_in, stack, key, LOGS, covers) for key in own_keys(stack, group, view, "kmsKeyId")]
    return each(partial(customer_key, stack, group, view, "kmsKeyId"), *uses)


def _registry(stack: Stack, registry: Resource) -> Verdict:
    configurations = (
        registry.view.mappings("encryptionConfigurations") if is_given(registry, "encryptionConfigurations") else []
    )
    if not configurations:
        return fail("encryptionConfigurations is not set: Amazon's own key encrypts the images, which everybody uses")
    return each(*(partial(_images, stack, registry, configuration) for configuration in configurations))


def _images(stack: Stack, registry: Resource, configuration: View) -> Verdict:
    kind = configuration.text("encryptionType") or "AES256"
    if kind not in KMS_TYPES:
        return fail(f"{configuration.path('encryptionType')} is {show(kind)}, not KMS with a key of yours")
    return customer_key(stack, registry, configuration, "kmsKey")


RULES: Final = (
    Rule(
        id="R63",
        name="key-rotation",
        title="KMS keys are rotated and deleted only after 14 days",
        severity=Severity.HIGH,
        controls=("8.24", "8.10"),
        remedy="set enableKeyRotation, and deletionWindowInDays to 14 or more",
        link=links.KEY_ROTATION,
        checks=(
            Check(
                types=KEYS,
                properties=(
                    "enableKeyRotation",
                    "rotationPeriodInDays",
                    "deletionWindowInDays",
                    "customerMasterKeySpec",
                    "customKeyStoreId",
                ),
                judge=rotated,
            ),
        ),
        remediation=Remediation(types=KEYS, propose=rotating),
    ),
    Rule(
        id="R70",
        name="logs-and-images-customer-key",
        title="Log groups and registries are encrypted with a customer key, which lets their service in",
        severity=Severity.MEDIUM,
        controls=("8.24", "8.15"),
        remedy="name a key of yours (kmsKeyId, encryptionConfigurations); a log group's must allow logs.<region>.amazonaws.com",
        link=links.LOG_KEYS,
        relations=(
            Relation(
                reads={
                    log_groups.LOG_GROUP: ("kmsKeyId",),
                    REPOSITORY: ("encryptionConfigurations",),
                    TEMPLATE: ("encryptionConfigurations",),
                    **READS,
                },
                judge=under_a_customer_key,
            ),
        ),
    ),
    *volumes.RULES,
    *log_groups.RULES,
)
