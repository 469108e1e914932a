"""Which questions are the same, who must be asked at all, and tasks by the engine's edges."""

from __future__ import annotations

from typing import Any

import pytest
from cases.probes import MAIN, READY_CHECK, THEME
from kubernetes_resources import changed_task, ecs_container, service

from policies.resource import Resource, Stack
from policies.rule import PASS, Outcome, all_of, judge, judge_stack
from policies.rules.probes import CHECKS, RELATIONS
from policies.values import UNKNOWN

(CHECK,) = CHECKS
OF_PODS, OF_TASKS = RELATIONS
REDIS = {"exec": {"command": ["redis-cli", "ping"]}}


@pytest.mark.parametrize(
    ("live", "ready", "apart"),
    [
        ({"httpGet": {"path": "/healthz", "port": 1}}, {"httpGet": {"path": "/readyz", "port": 1}}, True),
        ({"httpGet": {"path": "/healthz", "port": 1}}, {"httpGet": {"path": "/healthz", "port": 2}}, False),
        ({"httpGet": {"port": 1}}, {"httpGet": {"path": "/", "port": 1}}, False),
        ({"tcpSocket": {"port": 1}}, REDIS, True),
        (REDIS, REDIS, False),
        ({"tcpSocket": {"port": 1}}, {"tcpSocket": {"port": 1}}, False),
        ({"grpc": {"port": 1}}, {"grpc": {"port": 1, "service": "ready"}}, True),
        ({**REDIS, "periodSeconds": 5}, {**REDIS, "periodSeconds": 1}, False),
        (None, REDIS, True),
        (REDIS, None, True),
        (None, None, True),
    ],
)
def test_two_probes_that_ask_one_question_are_one(live: Any, ready: Any, apart: bool) -> None:
    given = THEME.resource("gateway", {f"{MAIN}/livenessProbe": live, f"{MAIN}/readinessProbe": ready})
    assert (judge(CHECK, given) == PASS) is apart


def pods(changes: dict[str, Any], front: dict[str, Any] | None = None) -> Outcome | None:
    given = [THEME.resource("gateway", changes)]
    if front:
        given.append(Resource("urn:service", "kubernetes:core/v1:Service", "front", front))
    findings = judge_stack(OF_PODS, Stack(given))
    return all_of(finding.verdict for finding in findings).outcome if findings else None


def test_only_what_a_service_leads_to_and_what_listens_must_be_asked() -> None:
    bare = {f"{MAIN}/livenessProbe": None, f"{MAIN}/readinessProbe": None}
    assert pods(bare) is None
    assert pods(bare, service("gateway")) is Outcome.FAIL
    assert pods(bare, service("other")) is Outcome.PASS
    assert pods(bare, service("gateway", namespace="other")) is Outcome.PASS
    assert pods({**bare, f"{MAIN}/ports": None}, service("gateway")) is Outcome.PASS
    assert pods({f"{MAIN}/livenessProbe": None}, service("gateway")) is Outcome.FAIL


def tasks(stack: Stack) -> Outcome | None:
    findings = judge_stack(OF_TASKS, stack)
    return all_of(finding.verdict for finding in findings).outcome if findings else None


def with_check(*command: str) -> Stack:
    text = changed_task(healthCheck={"command": list(command)} if command else None)
    return THEME.stack(THEME.resource("task", {"containerDefinitions": text}))


def test_the_path_is_found_as_a_whole_word_of_the_command() -> None:
    assert tasks(with_check("CMD", "curl https://127.0.0.1/readyz")) is Outcome.FAIL
    assert tasks(with_check("CMD-SHELL", "ask '/readyz'")) is Outcome.FAIL
    assert tasks(with_check("CMD-SHELL", "ask '/readyz/live'")) is Outcome.PASS
    assert tasks(with_check("CMD-SHELL", "ask '/readyz-live'")) is Outcome.PASS
    assert tasks(with_check()) is Outcome.PASS


def test_a_service_that_no_load_balancer_leads_to_is_not_judged() -> None:
    assert tasks(THEME.stack(THEME.resource("tasks", {"loadBalancers": None}))) is None
    assert tasks(THEME.stack(THEME.resource("group", {"healthCheck": None}))) is Outcome.PASS


@pytest.mark.parametrize(("declared", "outcome"), [({}, Outcome.PASS), ({"healthCheck": READY_CHECK}, Outcome.FAIL)])
def test_before_anything_has_an_arn_edges_and_declared_containers_decide(declared: Any, outcome: Outcome) -> None:
    component = Resource("urn:task", "assistant:aws:EcsTask", "task", {"containers": [{**ecs_container(), **declared}]})
    unknown = THEME.resource("task", {"containerDefinitions": UNKNOWN, "arn": UNKNOWN}, parent="urn:task")
    group = THEME.resource("group", {"arn": UNKNOWN})
    balancers = [{"containerName": "gateway", "targetGroupArn": UNKNOWN}]
    given = THEME.resource("tasks", {"taskDefinition": UNKNOWN, "loadBalancers": balancers})
    assert tasks(Stack([component, unknown, group, given])) is outcome
    assert tasks(Stack([unknown, group, given])) is Outcome.UNDETERMINED
