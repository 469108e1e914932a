"""What the Kubernetes stand-in does with objects, on a real API server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.api import Api, ApiError, UnreachableError
from kubernetes.awaiting import NotReadyError
from kubernetes.kubeconfig import KubeconfigError, load
from kubernetes.naming import Reference
from kubernetes.objects import MANAGER_FIELD, Objects

pytestmark = pytest.mark.cluster

PROGRAM = "localhost/assistant/coredns:1.11.3"  # prints a line and ends, or complains and ends: both are of use here
PAUSE = "localhost/assistant/pause:1"


@pytest.fixture
def pods(has_node: bool) -> None:
    if not has_node:
        pytest.skip("this cluster is an API server alone: no pod runs")


def document(kind: str, name: str, namespace: str, api_version: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


def reference(made: dict[str, Any]) -> Reference:
    metadata = made["metadata"]
    return Reference(
        api_version=made["apiVersion"], kind=made["kind"], namespace=metadata.get("namespace", ""), name=metadata["name"]
    )


def deployment(namespace: str, name: str, image: str, **spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": image, "imagePullPolicy": "Never"}],
        },
    }
    full = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template} | spec
    return document("Deployment", name, namespace, "apps/v1", spec=full)


def job(namespace: str, name: str, *arguments: str) -> dict[str, Any]:
    container = {"name": "main", "image": PROGRAM, "imagePullPolicy": "Never", "args": list(arguments)}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return document("Job", name, namespace, "batch/v1", spec={"backoffLimit": 0, "template": template})


def test_an_object_is_made_changed_seen_and_removed(api: Api, objects: Objects, namespace: str) -> None:
    first = document("ConfigMap", "settings", namespace, data={"a": "1", "b": "2"})
    made = objects.create(first, 0)
    manager = made[MANAGER_FIELD]
    assert made["metadata"]["uid"]
    changed = objects.update({**first, "data": {"a": "3"}}, manager, 0, dry_run=False)
    assert changed["data"] == {"a": "3"}  # what it no longer names is gone
    assert (objects.read(first, f"{namespace}/settings") or {})["data"] == {"a": "3"}
    objects.delete(first, f"{namespace}/settings", 0)
    assert api.get(reference(made)) is None
    objects.delete(first, f"{namespace}/settings", 0)  # gone already


def test_a_dry_run_changes_nothing(api: Api, objects: Objects, namespace: str) -> None:
    wanted = document("ConfigMap", "rehearsed", namespace, data={"a": "1"})
    objects.rehearse(wanted)
    assert objects.mistakes(wanted) == []
    assert api.get(reference(wanted)) is None


def test_what_may_come_with_the_same_update_is_no_obstacle_to_a_dry_run(objects: Objects) -> None:
    objects.rehearse(document("ConfigMap", "a", "not-made-yet"))
    objects.rehearse(document("Thing", "a", "not-made-yet", "example.com/v1"))


def test_a_misspelt_field_and_a_wrong_value_are_named(objects: Objects, namespace: str) -> None:
    misspelt = deployment(namespace, "web", PAUSE, replcas=2)
    assert any("spec.replcas" in reason for _, reason in objects.mistakes(misspelt))
    wrong = deployment(namespace, "web", PAUSE, replicas=-1)
    assert [field for field, _ in objects.mistakes(wrong)] == ["spec.replicas"]
    assert objects.mistakes(deployment(namespace, "web", PAUSE)) == []


def test_a_field_that_kubectl_changed_is_taken_back(api: Api, objects: Objects, namespace: str) -> None:
    wanted = document("ConfigMap", "drifted", namespace, data={"a": "mine"})
    manager = objects.create(wanted, 0)[MANAGER_FIELD]
    api.apply({**wanted, "data": {"a": "theirs"}}, manager="kubectl", force=True)
    assert objects.update(wanted, manager, 0, dry_run=False)["data"] == {"a": "mine"}


def test_a_field_that_another_program_owns_is_a_conflict_unless_forced(api: Api, objects: Objects, namespace: str) -> None:
    wanted = document("ConfigMap", "contested", namespace, data={"a": "mine"})
    manager = objects.create(wanted, 0)[MANAGER_FIELD]
    api.apply({**wanted, "data": {"a": "theirs"}}, manager="an-operator", force=True)
    with pytest.raises(ApiError, match="an-operator"):
        objects.update(wanted, manager, 0, dry_run=False)
    forced = {**wanted, "metadata": {**wanted["metadata"], "annotations": {"pulumi.com/patchForce": "true"}}}
    assert objects.update(forced, manager, 0, dry_run=False)["data"] == {"a": "mine"}


def test_a_kind_without_a_namespace_gets_none(objects: Objects, namespace: str) -> None:
    assert (
        "namespace"
        not in objects.in_namespace({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})["metadata"]
    )
    given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    assert objects.in_namespace(given)["metadata"]["namespace"] == namespace


def test_an_object_waits_for_its_namespace_a_moment(objects: Objects) -> None:
    with pytest.raises(ApiError, match='namespaces "not-made" not found'):
        start = time.monotonic()
        try:
            objects.create(document("ConfigMap", "a", "not-made"), 0)
        finally:
            assert time.monotonic() - start > 2


def test_a_rollout_is_waited_for(pods: None, api: Api, objects: Objects, namespace: str) -> None:
    made = objects.create(deployment(namespace, "web", PAUSE, replicas=2), 60)
    assert made["status"]["availableReplicas"] == 2
    again = deployment(namespace, "web", PAUSE, replicas=1)
    again["spec"]["template"]["metadata"]["annotations"] = {"version": "2"}
    updated = objects.update(again, made[MANAGER_FIELD], 60, dry_run=False)
    assert (updated["status"]["updatedReplicas"], updated["status"]["replicas"]) == (1, 1)
    objects.require_ready(updated)
    service = document("Service", "web", namespace, spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
    objects.create(service, 30)
    objects.delete(updated, f"{namespace}/web", 60)
    assert api.list("v1", "Pod", namespace, {"app": "web"}) == []  # foreground: it is gone when its pods are


def test_a_rollout_that_cannot_be_fails_with_the_reason_of_its_pods(pods: None, objects: Objects, namespace: str) -> None:
    broken = deployment(namespace, "broken", "localhost/assistant/no-such-image:1", progressDeadlineSeconds=3)
    with pytest.raises(NotReadyError) as failed:
        objects.create(broken, 60)
    reasons = " ".join(failed.value.reasons)
    assert "progressDeadlineSeconds (3)" in reasons
    assert "ErrImageNeverPull" in reasons
    assert failed.value.document[MANAGER_FIELD]
    with pytest.raises(NotReadyError):
        objects.require_ready(objects.read(broken, f"{namespace}/broken") or {})


def test_a_job_is_waited_for_and_its_last_lines_are_told(pods: None, objects: Objects, namespace: str) -> None:
    done = objects.create(job(namespace, "done", "-version"), 60)
    assert done["status"]["succeeded"] == 1
    with pytest.raises(NotReadyError) as failed:
        objects.create(job(namespace, "failing", "-conf", "/nowhere/Corefile"), 60)
    assert "/nowhere/Corefile" in " ".join(failed.value.reasons)


def test_waiting_has_an_end_and_says_what_was_waited_for(objects: Objects, namespace: str) -> None:
    nobody = document("Service", "nobody", namespace, spec={"selector": {"app": "nobody"}, "ports": [{"port": 80}]})
    with pytest.raises(NotReadyError, match=r"timed out after 1 s.*targets no ready pods"):
        objects.create(nobody, 1)
    nobody["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    objects.create(nobody, 1)


def test_a_deletion_that_hangs_says_what_holds_it(api: Api, objects: Objects, namespace: str) -> None:
    held = document("ConfigMap", "held", namespace)
    held["metadata"]["finalizers"] = ["example.com/held"]
    made = objects.create(held, 0)
    with pytest.raises(NotReadyError, match=r"still there after 1 s.*example\.com/held"):
        objects.delete(held, f"{namespace}/held", 1)
    objects.update({**held, "metadata": {"name": "held", "namespace": namespace}}, made[MANAGER_FIELD], 0, dry_run=False)
    assert gone(lambda: api.get(reference(held)) is None)


def gone(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def test_a_volume_claim_is_bound(objects: Objects, namespace: str) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    made = objects.create(document("PersistentVolumeClaim", "data", namespace, spec=spec), 60)
    assert made["status"]["phase"] == "Bound"
    objects.delete(made, f"{namespace}/data", 60)


def test_no_server_is_told_in_a_few_seconds(tmp_path, kubeconfig) -> None:
    text = kubeconfig.read_text()
    access = load(str(kubeconfig), None, {})
    moved = tmp_path / "moved"
    moved.write_text(text.replace(access.server, "https://127.0.0.1:1"))
    start = time.monotonic()
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1 does not answer"):
        Api(load(str(moved), None, {})).version()
    assert time.monotonic() - start < 5


def test_a_kubeconfig_may_be_text_a_path_or_the_environment_s(kubeconfig, tmp_path) -> None:
    server = load(str(kubeconfig), None, {}).server
    assert load(kubeconfig.read_text(), None, {}).server == server
    assert load(None, None, {"KUBECONFIG": f"/nowhere:{kubeconfig}"}).server == server
    with pytest.raises(KubeconfigError, match="no kubeconfig at"):
        load(str(tmp_path / "none"), None, {})
    with pytest.raises(KubeconfigError, match="no entry 'other' among its contexts"):
        load(str(kubeconfig), "other", {})
    assert "PRIVATE" not in repr(load(str(kubeconfig), None, {}))
