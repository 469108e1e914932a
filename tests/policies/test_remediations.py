"""Every remediation of the pack makes its rule pass, whatever case broke it, and changes what it names alone."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cases.theme import Bad, Theme
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from policies.pods import SINGLE, specification_of
from policies.remediation import remediated
from policies.resource import Resource
from policies.rule import Outcome, Rule, Verdict, all_of, judge
from policies.rules import RULES
from policies.rules.managed_redis import upgraded
from policies.rules.pod_security import by_default
from policies.values import UNKNOWN, decode

REMEDIED = {rule.id: rule for rule in RULES if rule.remediation}
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def broken() -> Iterator[Any]:
    """The cases that a check finds on a resource which the remediation is for."""
    for file in sorted((Path(__file__).parent / "cases").glob("*.py")):
        theme: Theme = getattr(importlib.import_module(f"cases.{file.stem}"), "THEME", Theme(good={}, cases={}))
        for rule_id, cases in theme.cases.items():
            rule = REMEDIED.get(rule_id)
            for number, bad in enumerate(cases.failing if rule else ()):
                assert rule
                if bad.resource not in bad.without and said(rule, made(theme, bad)).outcome is Outcome.FAIL:
                    yield pytest.param(rule, made(theme, bad), _by_the_container(bad), id=f"{rule_id}-{number}")


def made(theme: Theme, bad: Bad) -> Resource:
    return theme.resource(bad.resource, bad.changes, **bad.options)


def said(rule: Rule, resource: Resource) -> Verdict:
    """Of the checks, where the rule has a remediation for the resource at all."""
    remedied = rule.remediation is not None and resource.type in rule.remediation.types
    return all_of(judge(check, resource) for check in rule.checks if remedied and resource.type in check.types)


def _by_the_container(bad: Bad) -> bool:
    """What a container says against its pod is not the pack's to unsay."""
    return any("containers/" in path and "seccompProfile" in path for path in bad.changes)


def encoded(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN_TEXT
    if isinstance(value, dict):
        return {key: encoded(item) for key, item in value.items()}
    return [encoded(item) for item in value] if isinstance(value, list) else value


def mended(rule: Rule, resource: Resource) -> Resource:
    assert rule.remediation
    properties = json_format.ParseDict(encoded(dict(resource.properties)), Struct())
    return replace(resource, properties=decode(remediated(properties, rule.remediation.propose(resource))))


def test_every_remediation_has_a_case() -> None:
    assert {case.values[0].id for case in broken()} == set(REMEDIED)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("rule", "resource", "kept"), list(broken()))
def test_a_remediation_mends_what_its_rule_has_found(rule: Rule, resource: Resource, kept: bool) -> None:
    assert said(rule, mended(rule, resource)).outcome is (Outcome.FAIL if kept else Outcome.PASS)


@pytest.mark.parametrize(("rule", "resource", "_kept"), list(broken()))
def test_nothing_but_what_it_names_is_another_afterwards(rule: Rule, resource: Resource, _kept: bool) -> None:
    assert rule.remediation
    named = {path[0] for path in rule.remediation.propose(resource)}
    after = mended(rule, resource).properties
    assert {name: after[name] for name in after if name not in named} == {
        name: value for name, value in resource.properties.items() if name not in named
    }


@pytest.mark.parametrize("kind", SINGLE)
def test_a_pods_filter_is_set_where_its_specification_stands(kind: str) -> None:
    ((path, value),) = by_default(Resource(urn="u", type=kind, name="it", properties={})).items()
    assert path == (*specification_of(kind), "securityContext", "seccompProfile")
    assert value == {"type": "RuntimeDefault"}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("kubernetes:core/v1:Pod", ("spec",)),
        ("kubernetes:core/v1:PodTemplate", ("template", "spec")),
        ("kubernetes:apps/v1:Deployment", ("spec", "template", "spec")),
        ("kubernetes:batch/v1:CronJob", ("spec", "jobTemplate", "spec", "template", "spec")),
        ("kubernetes:keda.sh/v1alpha1:ScaledJob", ("spec", "jobTargetRef", "template", "spec")),
    ],
)
def test_a_pods_specification_lies_where_its_kind_has_it(kind: str, path: tuple[str, ...]) -> None:
    assert specification_of(kind) == path


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("aws:memorydb/cluster:Cluster", True),
        ("aws:elasticache/replicationGroup:ReplicationGroup", True),
        ("aws:elasticache/cluster:Cluster", "true"),  # a text there, and only there
    ],
)
def test_an_upgrade_is_switched_on_in_the_types_own_words(kind: str, value: Any) -> None:
    assert upgraded(Resource(urn="u", type=kind, name="it", properties={})) == {("autoMinorVersionUpgrade",): value}
