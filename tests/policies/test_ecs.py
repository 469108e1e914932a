"""A task definition's containers, from its text or from what its component declares."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.ecs import (
    DEFINITIONS,
    TASK_DEFINITION,
    containers_in,
    containers_of,
    known_containers,
    runs_on_fargate,
    unknown_tasks,
)
from policies.resource import Malformed, NotKnown, Resource, Stack, View
from policies.rule import PASS, Outcome, Verdict, fail
from policies.values import UNKNOWN, Secret

COMPONENT = "urn:pulumi:prod::assistant::assistant:aws:EcsTask::gateway"


def task(definitions: Any, parent: str = COMPONENT) -> Resource:
    return Resource(
        f"urn:pulumi:prod::assistant::{TASK_DEFINITION}::x", TASK_DEFINITION, "x", {DEFINITIONS: definitions}, parent=parent
    )


def component(**outputs: Any) -> Resource:
    return Resource(COMPONENT, "assistant:aws:EcsTask", "gateway", outputs)


def named_root(_task: View, container: View) -> Verdict:
    return fail(f"{container.path('user')} is root") if container.text("user") == "root" else PASS


def test_the_text_is_read_whatever_the_case_of_its_names() -> None:
    (container,) = containers_of(task(json.dumps([{"User": "root", "LinuxParameters": {"Capabilities": {"Drop": ["ALL"]}}}])))
    assert container.text("user") == "root"
    capabilities = container.within("linuxParameters", "capabilities")
    assert capabilities is not None
    assert capabilities.texts("drop") == ["ALL"]
    assert containers_of(task(None)) == []


@pytest.mark.parametrize("text", ["no JSON", json.dumps({"user": "root"}), json.dumps(["user"])])
def test_what_is_no_list_of_containers_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        containers_of(task(text))


def test_a_check_judges_each_container_of_a_known_text_and_leaves_an_unknown_one_alone() -> None:
    check = known_containers(named_root)
    assert check(task(json.dumps([{"user": "1"}, {"user": "root"}]))) == fail("containerDefinitions[1].user is root")
    assert check(task(Secret(json.dumps([{"user": "root"}])))).outcome is Outcome.FAIL
    assert check(task(json.dumps([{"user": "1"}]))) == PASS
    assert check(task(UNKNOWN)) == PASS


def test_a_relation_judges_an_unknown_text_by_what_its_component_declares() -> None:
    relate = unknown_tasks(named_root)
    assert relate(Stack([component(containers=[]), task(json.dumps([{"user": "root"}]))])) == []
    (found,) = relate(Stack([component(containers=[{"user": "root", "image": UNKNOWN}]), task(UNKNOWN)]))
    assert found.verdict == fail("containers[0].user is root")
    (passed,) = relate(Stack([component(containers=[{"user": "10001"}]), task(UNKNOWN)]))
    assert passed.verdict == PASS
    for told in (component(), component(containers=UNKNOWN)):
        (doubted,) = relate(Stack([told, task(UNKNOWN)]))
        assert doubted.verdict.outcome is Outcome.UNDETERMINED
    (orphan,) = relate(Stack([task(UNKNOWN, parent="")]))
    assert orphan.verdict.outcome is Outcome.UNDETERMINED


def test_either_source_serves_a_rule_that_needs_the_containers() -> None:
    declared = component(containers=[{"name": "declared"}])
    (container,) = containers_in(Stack([declared]), task(UNKNOWN))
    assert container.text("name") == "declared"
    (container,) = containers_in(Stack([declared]), task(json.dumps([{"name": "known"}])))
    assert container.text("name") == "known"
    with pytest.raises(NotKnown):
        containers_in(Stack([]), task(UNKNOWN))


def test_fargate_is_what_the_definition_asks_for() -> None:
    assert runs_on_fargate(View({"requiresCompatibilities": ["EC2", "FARGATE"]}))
    assert not runs_on_fargate(View({"requiresCompatibilities": ["EC2"]}))
    assert not runs_on_fargate(View({}))
