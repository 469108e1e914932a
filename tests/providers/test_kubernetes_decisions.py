"""The Kubernetes stand-in's decisions, on tables of cases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes import configuration
from kubernetes.awaiting import leftovers
from kubernetes.difference import Mutable, replaces, same_object
from kubernetes.naming import from_token, named
from kubernetes.projection import projected, same
from kubernetes.readiness import Related, pod_problems, seconds, verdict
from plugin.changes import changes, ignored
from plugin.values import UNKNOWN, has_unknowns, is_secret, marked, plain, secret


def paths(old: Any, new: Any) -> list[str]:
    return [f"{change.operation} {change}" for change in changes(old, new)]


def test_each_changed_leaf_is_named():
    old = {"metadata": {"annotations": {"a.b/c": "1"}}, "spec": {"replicas": 1, "list": [{"x": 1}, {"x": 2}]}}
    new = {"metadata": {"annotations": {"a.b/c": "2"}}, "spec": {"replicas": 1, "list": [{"x": 3}], "new": True}}
    assert paths(old, new) == [
        'update metadata.annotations["a.b/c"]',
        "update spec.list[0].x",
        "delete spec.list[1]",
        "add spec.new",
    ]
    assert paths(old, old) == []
    assert paths({"a": 1}, {"a": True}) == ["update a"]


REPLACING = [
    ("batch/v1", "Job", {"spec": {"template": {"x": 1}}}, {"spec": {"template": {"x": 2}}}, True),
    ("batch/v1", "Job", {"spec": {"suspend": False}}, {"spec": {"suspend": True}}, False),
    ("apps/v1", "Deployment", {"spec": {"selector": {"a": "b"}}}, {"spec": {"selector": {"a": "c"}}}, True),
    ("apps/v1", "Deployment", {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, False),
    ("apps/v1", "StatefulSet", {"spec": {"volumeClaimTemplates": [{"a": 1}]}}, {"spec": {"volumeClaimTemplates": []}}, True),
    ("v1", "PersistentVolumeClaim", {"spec": {"accessModes": ["a"]}}, {"spec": {"accessModes": ["b"]}}, True),
    ("v1", "Service", {"spec": {"clusterIP": "10.0.0.1"}}, {"spec": {"clusterIP": "10.0.0.2"}}, True),
    ("v1", "Service", {"spec": {"type": "ClusterIP"}}, {"spec": {"type": "NodePort"}}, False),
    ("v1", "ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}, True),
    ("v1", "Secret", {"stringData": {"a": "1"}}, {}, True),
    ("v1", "Anything", {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, True),
    ("v1", "Anything", {"metadata": {"namespace": "a"}}, {"metadata": {"namespace": "b"}}, True),
    ("v1", "Anything", {"metadata": {"labels": {"name": "a"}}}, {"metadata": {"labels": {"name": "b"}}}, False),
]


@pytest.mark.parametrize(("api_version", "kind", "old", "new", "anew"), REPLACING)
def test_a_change_that_kubernetes_refuses_needs_a_new_object(api_version, kind, old, new, anew):
    assert any(replaces(change, api_version, kind, Mutable()) for change in changes(old, new)) is anew


def test_secrets_and_config_maps_are_changed_in_place_where_the_provider_is_told_to():
    change = next(iter(changes({"data": {"a": "1"}}, {"data": {"a": "2"}})))
    assert not replaces(change, "v1", "Secret", Mutable(secret=True))
    assert replaces(change, "v1", "ConfigMap", Mutable(secret=True))
    assert not replaces(change, "v1", "ConfigMap", Mutable(config_map=True))


def test_an_object_of_a_given_name_is_deleted_before_its_successor():
    given = {"metadata": {"name": "web", "namespace": "a"}}
    assert same_object(given, given)
    assert not same_object(given, {"metadata": {"name": "web", "namespace": "b"}})
    assert not same_object(given, named({"metadata": {}}, "web", {}))


def test_a_name_is_made_once():
    first = named({"metadata": {"labels": {"a": "b"}}}, "Web", {})
    assert first["metadata"]["name"].startswith("web-")
    assert first["metadata"]["labels"] == {"a": "b"}
    assert named({"metadata": {}}, "Web", first)["metadata"]["name"] == first["metadata"]["name"]
    assert named({"metadata": {"name": "mine"}}, "Web", first)["metadata"] == {"name": "mine"}


def test_ignored_changes_are_those_at_and_below_a_path():
    change = next(iter(changes({"spec": {"replicas": 1}}, {"spec": {"replicas": 2}})))
    assert ignored(change, ("spec.replicas",))
    assert ignored(change, ("spec",))
    assert not ignored(change, ("spec.replica", "metadata"))


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("kubernetes:core/v1:Secret", ("v1", "Secret")),
        ("kubernetes:networking.k8s.io/v1:NetworkPolicy", ("networking.k8s.io/v1", "NetworkPolicy")),
    ],
)
def test_a_token_names_version_and_kind(token, expected):
    assert from_token(token) == expected


def test_secret_values_are_sent_plain_and_kept_marked():
    inputs = {"data": {"key": secret("canary"), "count": 2.0}, "list": [secret({"a": 1.0})], "gone": None}
    assert plain(inputs) == {"data": {"key": "canary", "count": 2}, "list": [{"a": 1}]}
    outputs = marked({"data": {"key": "canary", "count": 2}, "list": [{"a": 1}], "status": {}}, inputs)
    assert is_secret(outputs["data"]["key"])
    assert is_secret(outputs["list"][0])
    assert outputs["status"] == {}


def test_unknown_values_are_found_wherever_they_are():
    assert has_unknowns({"a": [{"b": secret(UNKNOWN)}]})
    assert not has_unknowns({"a": [{"b": "known"}]})


def test_refresh_sees_the_fields_that_the_inputs_set_and_no_others():
    inputs = {
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"mine": "1"}},
        "spec": {"replicas": 2, "ports": [{"name": "http", "port": 80}, {"name": "metrics", "port": 90}], "args": ["a"]},
    }
    live = {
        "kind": "Deployment",
        "metadata": {"name": "web", "uid": "x", "labels": {"mine": "changed", "theirs": "2"}},
        "spec": {
            "replicas": 5,
            "paused": True,
            "ports": [{"name": "metrics", "port": 90, "protocol": "TCP"}],
            "args": ["a", "b"],
        },
        "status": {},
    }
    assert projected(live, inputs) == {
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"mine": "changed"}},
        "spec": {"replicas": 5, "ports": [{"name": "metrics", "port": 90}], "args": ["a", "b"]},
    }


def test_refresh_reads_the_text_of_a_secret_out_of_its_data():
    inputs = {"kind": "Secret", "stringData": {"a": "x", "b": "y"}}
    assert projected({"kind": "Secret", "data": {"a": "eg=="}}, inputs)["stringData"] == {"a": "z"}


def test_what_the_api_server_leaves_out_for_being_empty_is_no_drift():
    assert projected({"spec": {}}, {"spec": {"podSelector": {}, "ingress": []}}) == {"spec": {"podSelector": {}, "ingress": []}}


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [("0.5", "500m", True), ("1024Mi", "1Gi", True), (1, "1", True), ("1G", "1Gi", False), ("a", "b", False), (True, 1, True)],
)
def test_two_spellings_of_a_quantity_are_one(one, other, equal):
    assert same(one, other) is equal


def deployment(generation: int = 2, spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": generation},
        "spec": {"replicas": 2} | (spec or {}),
        "status": {"observedGeneration": 2} | status,
    }


LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
BROKEN_POD = {
    "metadata": {"name": "web-1"},
    "status": {
        "containerStatuses": [
            {"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}},
            {"name": "side", "state": {"waiting": {"reason": "ContainerCreating"}}},
        ]
    },
}
DONE = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (deployment(**DONE), "ready"),
        (deployment(generation=3, **DONE), "noticed"),
        (deployment(**DONE | {"updatedReplicas": 1}), "1 of 2 replicas updated"),
        (deployment(**DONE | {"replicas": 3}), "1 old replicas"),
        (deployment(**DONE | {"availableReplicas": 1}), "1 of 2 replicas available"),
        (deployment(spec={"replicas": 0}), "ready"),
        (deployment(), "no such image"),
    ],
)
def test_a_deployment_is_done_when_its_rollout_is(document, expected):
    decision = verdict(document, Related(pods=[BROKEN_POD]))
    assert not decision.failed
    assert expected in ("ready" if decision.ready else "; ".join(decision.waiting))


def test_a_deployment_past_its_deadline_failed_for_the_reasons_of_its_pods():
    decision = verdict(deployment(conditions=[LATE]), Related(pods=[BROKEN_POD]))
    assert decision.failed == (
        "not available within its progressDeadlineSeconds (600)",
        "pod web-1, container web: ImagePullBackOff, no such image",
    )


def job(kind: str = "", **spec: Any) -> dict[str, Any]:
    condition = {"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}
    document = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "model"}, "spec": spec}
    return document | {"status": {"conditions": [condition] if kind else []}}


def test_a_job_is_done_when_it_is_complete_and_failed_with_its_last_words():
    assert verdict(job("Complete"), Related()).ready
    assert verdict(job(suspend=True), Related()).ready
    assert verdict(job(), Related()).waiting
    failed = verdict(job("Failed"), Related(logs={"model-1": "a line\nKeyError: 'x'\n"})).failed
    assert failed == ("BackoffLimitExceeded: too often", "last lines of pod model-1:\na line\nKeyError: 'x'")


def stateful_set(**status: Any) -> dict[str, Any]:
    spec = {"replicas": 1, "updateStrategy": {"type": "RollingUpdate"}}
    document = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "redis", "generation": 1}, "spec": spec}
    return document | {"status": {"observedGeneration": 1} | status}


def test_a_stateful_set_is_done_when_all_its_replicas_are_new_and_ready():
    assert verdict(stateful_set(readyReplicas=1, currentRevision="a", updateRevision="a"), Related()).ready
    assert verdict(stateful_set(readyReplicas=0, currentRevision="a", updateRevision="a"), Related()).waiting
    assert verdict(stateful_set(readyReplicas=1, currentRevision="a", updateRevision="b"), Related()).waiting
    updated = stateful_set(readyReplicas=1, currentRevision="a", updateRevision="b", updatedReplicas=1)
    assert verdict(updated, Related()).ready


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"a": "b"}} | spec}


READY_SLICE = {"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]}
UNREADY_SLICE = {"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}]}


@pytest.mark.parametrize(
    ("document", "slices", "ready"),
    [
        (service(), [READY_SLICE], True),
        (service(), [UNREADY_SLICE], False),
        (service(), [], False),
        (service(clusterIP="None"), [], True),
        (service(type="ExternalName"), [], True),
        (service(selector=None), [], True),
        (service(type="LoadBalancer"), [READY_SLICE], False),
        (service(type="LoadBalancer") | {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}, [READY_SLICE], True),
    ],
)
def test_a_service_is_done_when_it_leads_to_a_ready_pod(document, slices, ready):
    assert verdict(document, Related(endpoint_slices=slices)).ready is ready


def claim(phase: str, storage_class: str | None) -> dict[str, Any]:
    spec = {"storageClassName": storage_class} if storage_class else {}
    document = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": spec}
    return document | {"status": {"phase": phase}}


DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
LAZY = {"metadata": {"name": "lazy", "annotations": DEFAULT}, "volumeBindingMode": "WaitForFirstConsumer"}
EAGER = {"metadata": {"name": "eager"}, "volumeBindingMode": "Immediate"}


@pytest.mark.parametrize(
    ("document", "ready"),
    [
        (claim("Bound", "eager"), True),
        (claim("Pending", "eager"), False),
        (claim("Pending", "lazy"), True),
        (claim("Pending", None), True),
        (claim("Pending", "missing"), False),
    ],
)
def test_a_claim_is_waited_for_unless_its_first_pod_binds_it(document, ready):
    assert verdict(document, Related(storage_classes=[LAZY, EAGER])).ready is ready


def ingress(annotations: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:
    metadata = {"name": "web", "annotations": annotations or {}}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": {}, "status": status}


def test_an_ingress_is_waited_for_unless_nobody_gives_it_an_address():
    assert verdict(ingress(), Related()).waiting
    assert verdict(ingress({"pulumi.com/skipAwait": "true"}), Related()).ready
    assert verdict(ingress(loadBalancer={"ingress": [{"ip": "1.2.3.4"}]}), Related()).ready


def test_a_kind_that_is_not_known_is_only_applied():
    custom = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"}, "spec": {}}
    assert verdict(custom, Related()).ready


def test_the_time_to_wait_is_the_resource_s_its_annotation_s_or_the_kind_s():
    assert seconds(deployment(), 42.0) == 42.0
    annotated = deployment()
    annotated["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "7"}
    assert seconds(annotated, 0) == 7.0
    assert seconds(deployment(), 0) == 600.0


def test_what_keeps_a_pod_from_running_is_said_in_the_words_of_who_knows():
    unscheduled = {
        "metadata": {"name": "a"},
        "status": {
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]
        },
    }
    ended = {
        "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}},
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    }
    crashed = {"metadata": {"name": "b"}, "status": {"initContainerStatuses": [{"name": "wait", **ended}]}}
    running = {"metadata": {"name": "c"}, "status": {"containerStatuses": [{"name": "x", "state": {"running": {}}}]}}
    assert pod_problems([unscheduled, crashed, crashed, running]) == (
        "pod a: Unschedulable: 0/1 nodes",
        "pod b, container wait: CrashLoopBackOff, exit code 2",
    )


def test_what_keeps_an_object_from_going_is_said():
    remaining = {"type": "NamespaceContentRemaining", "status": "True", "message": "pods. has 1 resource instances"}
    namespace = {"metadata": {"name": "a"}, "status": {"conditions": [remaining]}}
    assert leftovers(namespace) == "pods. has 1 resource instances"
    assert "keda.sh/finalizer" in leftovers({"metadata": {"finalizers": ["keda.sh/finalizer"]}})


def kubeconfig(server: str, user: dict[str, Any]) -> str:
    return json.dumps(
        {
            "current-context": "one",
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
            "clusters": [{"name": "one", "cluster": {"server": server}}],
            "users": [{"name": "one", "user": user}],
        }
    )


def test_a_test_may_name_the_cluster_that_is_taken_in_place_of_a_cloud_s(tmp_path, monkeypatch):
    cloud = {"kubeconfig": kubeconfig("https://cloud.example.com", {"exec": {"command": "aws"}})}
    assert configuration.server(cloud) is None
    there = tmp_path / "kubeconfig"
    there.write_text(kubeconfig("https://127.0.0.1:1", {"token": "t"}))
    monkeypatch.setenv(configuration.OVERRIDE, str(there))
    assert configuration.server(cloud) == "https://127.0.0.1:1"
    said: list[str] = []
    assert "127.0.0.1:1" in configuration.connect(cloud, said.append).problem  # nobody listens there
    assert str(there) in said[0]
