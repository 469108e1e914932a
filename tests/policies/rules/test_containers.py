"""Where secrets of containers lie, and which containers run the gateway."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from policies.local_types import Role
from policies.resource import Resource, Stack
from policies.rule import PASS, Outcome, Verdict, fail, judge, judge_stack
from policies.rules import RULES, application
from policies.values import UNKNOWN

R09 = next(rule for rule in RULES if rule.id == "R09")
DEPLOYMENT, TASK = "kubernetes:apps/v1:Deployment", "aws:ecs/taskDefinition:TaskDefinition"
FILE = {"name": "API_KEY_FILE", "value": "/run/secrets/api_key"}
OPEN = application.wherever(Role.GATEWAY, lambda: fail("open"))


def resource(kind: str, parent: str = "", **properties: Any) -> Resource:
    return Resource(urn=f"urn:pulumi:prod::assistant::{kind}::it", type=kind, name="it", properties=properties, parent=parent)


def pod(container: dict[str, Any], **spec: Any) -> Resource:
    return resource(DEPLOYMENT, spec={"template": {"spec": {"containers": [container], **spec}}})


def task(**container: Any) -> Resource:
    return resource(TASK, containerDefinitions=json.dumps([{"name": "it", **container}]))


def said(checks: Sequence[Any], made: Resource) -> list[Verdict]:
    return [judge(check, made) for check in checks if made.type in check.types]


@pytest.mark.parametrize(
    ("volume", "outcome"),
    [
        ({"secret": {"secretName": "api"}}, Outcome.PASS),
        ({"projected": {"sources": []}}, Outcome.PASS),
        ({"csi": {"driver": "secrets-store.csi.k8s.io"}}, Outcome.PASS),
        ({"emptyDir": {"medium": "Memory"}}, Outcome.PASS),
        ({"emptyDir": {}}, Outcome.FAIL),
        ({"hostPath": {"path": "/etc/keys"}}, Outcome.FAIL),
        ({"configMap": {"name": "keys"}}, Outcome.FAIL),
    ],
)
def test_a_file_of_a_secret_lies_in_memory(volume: dict[str, Any], outcome: Outcome) -> None:
    mounts = [{"name": "v", "mountPath": "/run/secrets"}]
    made = pod({"env": [FILE], "volumeMounts": mounts}, volumes=[{"name": "v", **volume}])
    assert [verdict.outcome for verdict in said(R09.checks, made)] == [outcome]


def test_the_innermost_mount_is_where_a_file_lies() -> None:
    volumes = [{"name": "memory", "emptyDir": {"medium": "Memory"}}, {"name": "disk", "emptyDir": {}}]
    for outer, inner, outcome in (("disk", "memory", Outcome.PASS), ("memory", "disk", Outcome.FAIL)):
        mounts = [{"name": outer, "mountPath": "/run"}, {"name": inner, "mountPath": "/run/secrets/"}]
        made = pod({"env": [FILE], "volumeMounts": mounts}, volumes=volumes)
        assert [verdict.outcome for verdict in said(R09.checks, made)] == [outcome]


def test_init_and_ephemeral_containers_count() -> None:
    for place in ("initContainers", "ephemeralContainers"):
        made = pod({"name": "it"}, **{place: [{"env": [{"name": "API_KEY", "value": "x"}]}]})
        assert [verdict.outcome for verdict in said(R09.checks, made)] == [Outcome.FAIL]


def test_before_a_task_definition_is_known_its_component_says_what_its_containers_have() -> None:
    urn = "urn:pulumi:prod::assistant::assistant:aws:EcsTask::task"
    for name, outcome in (("PORT", Outcome.PASS), ("API_KEY", Outcome.FAIL)):
        containers = [{"name": "it", "environment": [{"name": name, "value": UNKNOWN}]}]
        component = Resource(urn=urn, type="assistant:aws:EcsTask", name="task", properties={"containers": containers})
        made = resource(TASK, urn, containerDefinitions=UNKNOWN)
        assert [verdict.outcome for verdict in said(R09.checks, made)] == [Outcome.PASS]
        found = [finding for relation in R09.relations for finding in judge_stack(relation, Stack((component, made)))]
        assert [finding.verdict.outcome for finding in found] == [outcome]


@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        (["python", "-m", "app.gateway"], fail("open")),
        (["python", "-m", "app.aws.deliver", "--", "python", "-m", "app.gateway"], fail("open")),
        (["sh", "-c", "exec python -m app.gateway"], fail("open")),
        (["python", "-m", "app.pipeline"], PASS),
        (["redis-server", "app.gateway"], PASS),
        ([], PASS),
    ],
)
def test_the_gateway_is_known_by_what_it_runs(command: list[str], verdict: Verdict) -> None:
    assert said(OPEN["checks"], pod({"command": command})) == [verdict]
    assert said(OPEN["checks"], pod({"args": command})) == [verdict]
    assert said(OPEN["checks"], task(command=command)) == [verdict]


def test_an_unknown_argument_leaves_open_only_which_module_runs() -> None:
    assert said(OPEN["checks"], pod({"args": ["--region", UNKNOWN]})) == [PASS]
    assert said(OPEN["checks"], pod({"command": ["python", "-m", "app.gateway", UNKNOWN]})) == [fail("open")]
    assert [verdict.outcome for verdict in said(OPEN["checks"], pod({"command": ["python", "-m", UNKNOWN]}))] == [
        Outcome.UNDETERMINED
    ]
    assert [verdict.outcome for verdict in said(OPEN["checks"], pod({"command": UNKNOWN}))] == [Outcome.UNDETERMINED]
