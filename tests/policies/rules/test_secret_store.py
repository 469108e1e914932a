"""Rotation and keys of secrets: schedules in all their forms, and what edges decide."""

from __future__ import annotations

from typing import Any

import pytest

from policies.resource import Resource, Stack
from policies.rule import Outcome, judge_stack
from policies.rules import secret_store
from policies.values import UNKNOWN

RULES = {rule.id: rule for rule in secret_store.RULES}
SECRET_URN = f"urn:pulumi:prod::assistant::{secret_store.SECRET}::one"
KEY_URN = "urn:pulumi:prod::assistant::aws:kms/key:Key::key"


def secret(name: str = "one", edges: dict[str, tuple[str, ...]] | None = None, **properties: Any) -> Resource:
    urn = f"urn:pulumi:prod::assistant::{secret_store.SECRET}::{name}"
    return Resource(urn=urn, type=secret_store.SECRET, name=name, properties=properties, property_dependencies=edges or {})


def rotation(edges: dict[str, tuple[str, ...]] | None = None, **properties: Any) -> Resource:
    urn = f"urn:pulumi:prod::assistant::{secret_store.ROTATION}::rotation"
    return Resource(
        urn=urn, type=secret_store.ROTATION, name="rotation", properties=properties, property_dependencies=edges or {}
    )


def outcomes(rule_id: str, *resources: Resource) -> dict[str, Outcome]:
    (relation,) = RULES[rule_id].relations
    return {finding.urn.rpartition("::")[2]: finding.verdict.outcome for finding in judge_stack(relation, Stack(resources))}


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        ({"automaticallyAfterDays": 1}, Outcome.PASS),
        ({"automaticallyAfterDays": 90}, Outcome.PASS),
        ({"automaticallyAfterDays": 91}, Outcome.FAIL),
        ({"scheduleExpression": "rate(90 days)"}, Outcome.PASS),
        ({"scheduleExpression": "rate(1 day)"}, Outcome.PASS),
        ({"scheduleExpression": "rate(2160 hours)"}, Outcome.PASS),
        ({"scheduleExpression": "rate(2161 hours)"}, Outcome.FAIL),
        ({"scheduleExpression": "cron(0 8 1 * ? *)"}, Outcome.PASS),
        ({"scheduleExpression": "cron(0 8 1 1 ? *)"}, Outcome.UNDETERMINED),
        ({"scheduleExpression": "cron(0 8)"}, Outcome.FAIL),
    ],
)
def test_a_schedule_is_often_enough_or_not(rules: dict[str, Any], outcome: Outcome) -> None:
    turning = rotation({"secretId": (SECRET_URN,)}, secretId=UNKNOWN, rotationRules=rules)
    assert outcomes("R07", secret(arn=UNKNOWN), turning) == {"one": outcome}


def test_a_reason_has_twenty_characters() -> None:
    assert outcomes("R07", secret(tags={"RotationByHand": "a" * 20})) == {"one": Outcome.PASS}
    assert outcomes("R07", secret(tags={"RotationByHand": "a" * 19})) == {"one": Outcome.FAIL}


def test_a_rotation_too_seldom_is_not_excused_by_a_reason() -> None:
    turning = rotation({"secretId": (SECRET_URN,)}, secretId=UNKNOWN, rotationRules={"automaticallyAfterDays": 365})
    assert outcomes("R07", secret(arn=UNKNOWN, tags={"RotationByHand": "a" * 40}), turning) == {"one": Outcome.FAIL}


def test_a_rotation_of_another_secret_does_not_count() -> None:
    other = secret("two", arn=UNKNOWN)
    turning = rotation({"secretId": (SECRET_URN,)}, secretId=UNKNOWN, rotationRules={"automaticallyAfterDays": 30})
    assert outcomes("R07", secret(arn=UNKNOWN), other, turning) == {"one": Outcome.PASS, "two": Outcome.FAIL}


def test_a_rotation_of_nobody_knows_what_leaves_open_what_nothing_else_settles() -> None:
    turning = rotation(secretId=UNKNOWN, rotationRules={"automaticallyAfterDays": 30})
    by_hand = secret("two", tags={"RotationByHand": "a" * 40})
    assert outcomes("R07", secret(arn=UNKNOWN), by_hand, turning) == {"one": Outcome.UNDETERMINED, "two": Outcome.PASS}


def test_the_key_of_the_stack_is_known_by_its_edge_before_it_exists() -> None:
    key = Resource(urn=KEY_URN, type="aws:kms/key:Key", name="key", properties={"arn": UNKNOWN})
    assert outcomes("R67", key, secret("one", {"kmsKeyId": (KEY_URN,)}, kmsKeyId=UNKNOWN)) == {"one": Outcome.PASS}
    assert outcomes("R67", key, secret("one", kmsKeyId=UNKNOWN)) == {"one": Outcome.UNDETERMINED}


def test_a_stack_without_secrets_has_no_findings() -> None:
    assert outcomes("R07", rotation(secretId="x")) == outcomes("R67", rotation(secretId="x")) == {}
