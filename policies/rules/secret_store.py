"""Secrets at rest: their key, and their rotation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.customer_keys import customer_key
from policies.relations import means
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Finding, Relation, Rule, Severity, Verdict, all_of, each, fail, found, undetermined
from policies.rules import links
from policies.show import show

SECRET: Final = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a type
ROTATION: Final = "aws:secretsmanager/secretRotation:SecretRotation"
LONGEST_DAYS: Final = 90
# The tag by which a secret says why it does not rotate by itself, and what is done instead.
REASON: Final = "RotationByHand"
SHORTEST_REASON: Final = 20  # characters; "no" and "later" are none
RATE: Final = re.compile(r"rate\((?P<number>\d+) (?P<unit>day|hour)s?\)")
HOURS: Final = {"day": 24, "hour": 1}
CRON: Final = re.compile(r"cron\((?P<minute>\S+) (?P<hour>\S+) (?P<day>\S+) (?P<month>\S+) (?P<weekday>\S+) \S+\)")
ANY: Final = frozenset({"*", "?"})


def rotated(stack: Stack) -> Sequence[Finding]:
    return [found(secret, partial(_rotated, stack, secret)) for secret in stack.of_type(SECRET)]


def _rotated(stack: Stack, secret: Resource) -> Verdict:
    told = {rotation.urn: means(rotation, "secretId", secret) for rotation in stack.of_type(ROTATION)}
    own = [rotation for rotation in stack.of_type(ROTATION) if told[rotation.urn]]
    if own:
        return all_of(_often_enough(rotation.view) for rotation in own)
    if secret.view.raw("rotationRules") is not None:
        return _often_enough(secret.view)
    tags = secret.view.mapping("tags")
    reason = (tags.text(REASON) if tags else None) or ""
    if len(reason.strip()) >= SHORTEST_REASON:
        return PASS
    if None in told.values():
        return undetermined("secretId of a rotation is not known before the update, so nobody can say whose it is")
    said = f"tags.{REASON} is too short to be a reason" if reason else f"tags.{REASON} does not say why not"
    return fail(f"nothing rotates the secret within {LONGEST_DAYS} days, and {said}")


def _often_enough(view: View) -> Verdict:
    rules = view.mapping("rotationRules")
    if rules is None:
        return fail(f"{view.path('rotationRules')} is missing: nothing says when the secret rotates")
    days = rules.integer("automaticallyAfterDays")
    if days is not None:
        path = rules.path("automaticallyAfterDays")
        return PASS if days <= LONGEST_DAYS else fail(f"{path} is {days}: at most {LONGEST_DAYS} days are allowed")
    schedule = rules.text("scheduleExpression") or ""
    return _schedule(rules.path("scheduleExpression"), schedule)


def _schedule(path: str, schedule: str) -> Verdict:
    if rate := RATE.fullmatch(schedule):
        hours, every = int(rate["number"]) * HOURS[rate["unit"]], f"{rate['number']} {rate['unit']}s"
        if hours > LONGEST_DAYS * 24:
            return fail(f"{path} is every {every}: at most {LONGEST_DAYS} days are allowed")
        return PASS
    if (cron := CRON.fullmatch(schedule)) and cron["month"] in ANY:
        return PASS  # every month at least
    if cron:
        return undetermined(f"{path} is {show(schedule)}, in some months only: say rate(… days)")
    return fail(f"{path} says no time at which the secret rotates")


def encrypted(stack: Stack) -> Sequence[Finding]:
    return [found(secret, partial(_encrypted, stack, secret)) for secret in stack.of_type(SECRET)]


def _encrypted(stack: Stack, secret: Resource) -> Verdict:
    """Each copy in another region has a key of its own there."""
    holders = [secret.view, *(secret.view.mappings("replicas") or [])]
    return each(*(partial(customer_key, stack, secret, holder, "kmsKeyId") for holder in holders))


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R07",
        name="secrets-rotate",
        title=f"Secrets rotate within {LONGEST_DAYS} days, or say why not",
        severity=Severity.HIGH,
        controls=("5.17",),
        remedy=f"make a SecretRotation of at most {LONGEST_DAYS} days, or say in the tag {REASON} what is done instead",
        link=links.SECRET_ROTATION,
        relations=(
            Relation(
                reads={SECRET: ("rotationRules", "tags"), ROTATION: ("rotationRules", "secretId")},
                judge=rotated,
            ),
        ),
    ),
    Rule(
        id="R67",
        name="secrets-customer-key",
        title="Secrets are encrypted with a key of the customer's",
        severity=Severity.HIGH,
        controls=("8.24", "5.17"),
        remedy="set kmsKeyId (and that of each replica) to a KMS key whose policy is yours",
        link=links.SECRET_KEYS,
        relations=(Relation(reads={SECRET: ("kmsKeyId", "replicas")}, judge=encrypted),),
    ),
)
