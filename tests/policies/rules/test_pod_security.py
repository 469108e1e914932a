"""What the cases cannot say: what must pass, what a pod's own context does for its containers, tasks whose text is unknown."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from kubernetes_resources import changed_task, container, definitions, deployment, ecs_container, task

from policies.ecs import TASK_DEFINITION
from policies.pods import PATCHES, WORKLOADS
from policies.resource import Resource, Stack
from policies.rule import PASS, Outcome, Verdict, all_of, fail, judge, judge_stack
from policies.rules import RULES
from policies.values import UNKNOWN

IDS = ("R27", "R28", "R29", "R30", "R31")
BY_ID = {rule.id: rule for rule in RULES}
COMPONENT = "urn:pulumi:prod::assistant::assistant:aws:EcsTask::gateway"


def say(rule_id: str, type_: str, properties: dict[str, Any]) -> Verdict:
    resource = Resource(f"urn:pulumi:prod::assistant::{type_}::x", type_, "x", properties)
    checks = [check for check in BY_ID[rule_id].checks if type_ in check.types]
    assert checks
    return all_of(judge(check, resource) for check in checks)


def pod(context: dict[str, Any] | None, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **({"securityContext": context} if context else {}), **spec}}


POD = "kubernetes:core/v1:Pod"


def test_a_controller_whose_user_is_said_for_the_pod_alone_passes() -> None:
    """As the load balancer controller and the Cluster Autoscaler are registered."""
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    described = pod(
        {"runAsUser": 65534, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        {"name": "controller", "securityContext": {**own, "runAsNonRoot": True}},
    )
    for rule_id in IDS:
        assert say(rule_id, POD, described) == PASS


@pytest.mark.parametrize(("uid", "passes"), [(0, False), (9999, False), (10000, True), (10001, True), ("10000", True)])
def test_the_least_uid_is_ten_thousand(uid: Any, passes: bool) -> None:
    described = pod({"runAsNonRoot": True}, {"name": "x", "securityContext": {"runAsUser": uid}})
    assert (say("R28", POD, described) == PASS) is passes
    assert (say("R28", TASK_DEFINITION, task({"user": str(uid)})) == PASS) is passes


def test_what_a_container_says_counts_before_what_its_pod_says() -> None:
    high, low = {"runAsUser": 10001, "runAsNonRoot": True}, {"runAsUser": 0, "runAsNonRoot": False}
    assert say("R28", POD, pod(low, {"name": "x", "securityContext": high})) == PASS
    verdict = say("R28", POD, pod(high, {"name": "x", "securityContext": low}))
    assert len(verdict.reasons) == 2
    assert say("R30", POD, pod({"seccompProfile": {"type": "Unconfined"}}, container("x"))) == PASS


@pytest.mark.parametrize("added", [["NET_BIND_SERVICE"], ["CAP_NET_BIND_SERVICE"], []])
def test_the_capability_that_only_opens_low_ports_may_be_added(added: list[str]) -> None:
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": added}}
    assert say("R29", POD, pod(None, {"name": "x", "securityContext": own})) == PASS
    assert say("R29", TASK_DEFINITION, task({"linuxParameters": {"capabilities": own["capabilities"]}})) == PASS


def test_a_second_capability_beside_the_harmless_one_is_found() -> None:
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "NET_ADMIN"]}}
    verdict = say("R29", POD, pod(None, {"name": "x", "securityContext": own}))
    assert verdict == fail("spec.containers[0].securityContext.capabilities.add has NET_ADMIN")


def test_what_is_said_to_be_off_is_off() -> None:
    quiet = pod(
        {"windowsOptions": {"hostProcess": False}},
        {
            "name": "x",
            "ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 0}],
            "securityContext": {"privileged": False, "procMount": "Default", "windowsOptions": {}},
        },
        {"name": "bare"},
        hostNetwork=False,
        hostPID=False,
        hostIPC=False,
        volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": None}],
    )
    assert say("R27", POD, quiet) == PASS
    assert say("R27", POD, {"spec": {}}) == PASS
    assert say("R27", "kubernetes:core/v1:PersistentVolume", {}) == PASS


def test_every_way_to_the_node_is_named_at_once() -> None:
    described = pod(
        None,
        {"name": "x", "securityContext": {"privileged": True}},
        hostNetwork=True,
        hostPID=True,
        volumes=[{"name": "a", "hostPath": {"path": "/run/containerd"}}],
    )
    assert say("R27", POD, described) == fail(
        "spec.hostNetwork is true: a container that shares it acts on the whole node",
        "spec.hostPID is true: a container that shares it acts on the whole node",
        "spec.volumes[0].hostPath gives the container the node's /run/containerd",
        "spec.containers[0].securityContext.privileged is true: a container that shares it acts on the whole node",
    )


def test_a_patch_of_somebody_elses_workload_is_held_to_what_it_adds() -> None:
    for rule_id in IDS:
        types = {type_ for check in BY_ID[rule_id].checks for type_ in check.types}
        assert set(WORKLOADS) <= types
        assert (set(PATCHES) <= types) is (rule_id == "R27")


def test_a_task_on_instances_of_its_own_says_that_it_gains_no_privileges() -> None:
    on_instances = {**task(), "requiresCompatibilities": ["EC2"]}
    for options in (["no-new-privileges"], ["label:x", "no-new-privileges:true"]):
        on_instances["containerDefinitions"] = changed_task(dockerSecurityOptions=options)
        assert say("R29", TASK_DEFINITION, on_instances) == PASS
    on_instances["containerDefinitions"] = changed_task(dockerSecurityOptions=["no-new-privileges:false"])
    assert say("R29", TASK_DEFINITION, on_instances).outcome is Outcome.FAIL
    assert say("R30", TASK_DEFINITION, task({"dockerSecurityOptions": ["label:x"]})) == PASS


def test_each_container_of_a_task_is_judged() -> None:
    second = {**ecs_container(), "name": "sidecar", "user": "0", "privileged": True, "readonlyRootFilesystem": False}
    described = {**task(), "containerDefinitions": definitions(ecs_container(), second)}
    for rule_id in ("R27", "R28", "R31"):
        verdict = say(rule_id, TASK_DEFINITION, described)
        assert [reason[:23] for reason in verdict.reasons] == ["containerDefinitions[1]"]


def test_a_volume_or_a_mode_of_the_instance_is_found_without_the_text() -> None:
    unknown = {**task(), "containerDefinitions": UNKNOWN}
    assert say("R27", TASK_DEFINITION, unknown) == PASS
    assert say("R27", TASK_DEFINITION, {**unknown, "pidMode": "task", "ipcMode": "none"}) == PASS
    assert say("R27", TASK_DEFINITION, {**unknown, "pidMode": "host"}).outcome is Outcome.FAIL
    assert say("R27", TASK_DEFINITION, {**unknown, "volumes": [{"name": "x", "hostPath": ""}]}) == PASS


@pytest.mark.parametrize("rule_id", IDS)
def test_a_task_whose_text_is_unknown_is_judged_by_what_its_component_declares(rule_id: str) -> None:
    bad = {
        "R27": {"privileged": True},
        "R28": {"user": "root"},
        "R29": {"linuxParameters": {}},
        "R30": {"dockerSecurityOptions": ["seccomp:unconfined"]},
        "R31": {"readonlyRootFilesystem": False},
    }[rule_id]
    (relation,) = BY_ID[rule_id].relations
    first = Resource(
        "urn:pulumi:prod::assistant::aws:ecs/taskDefinition:TaskDefinition::x",
        TASK_DEFINITION,
        "x",
        {**task(), "containerDefinitions": UNKNOWN},
        parent=COMPONENT,
    )
    for declared, outcome in ((ecs_container(), Outcome.PASS), ({**ecs_container(), **bad}, Outcome.FAIL)):
        told = {"containers": [{**copy.deepcopy(declared), "image": UNKNOWN}]}
        component = Resource(COMPONENT, "assistant:aws:EcsTask", "gateway", told)
        (finding,) = judge_stack(relation, Stack([component, first]))
        assert finding.verdict.outcome is outcome
    (finding,) = judge_stack(relation, Stack([first]))
    assert finding.verdict.outcome is Outcome.UNDETERMINED


def test_items_of_a_list_are_judged_too() -> None:
    bad = deployment("web")
    bad["spec"]["template"]["spec"]["hostPID"] = True
    verdict = say("R27", "kubernetes:apps/v1:DeploymentList", {"items": [deployment("api"), bad]})
    assert [reason.split(" ")[0] for reason in verdict.reasons] == ["items[1].spec.template.spec.hostPID"]
