"""Every pod of every kind of workload is read, with all its containers; selectors select as Kubernetes says."""

from __future__ import annotations

from typing import Any

import pytest

from policies.pods import PATCHES, WORKLOADS, each_container, labels_of, namespace_of, pods_of
from policies.resource import Malformed, NotKnown, Resource, Stack, View
from policies.rule import PASS, Outcome, Verdict, fail
from policies.selectors import selected_by_pairs, selects, selects_all
from policies.values import UNKNOWN

SPEC = {"containers": [{"name": "main"}], "initContainers": [{"name": "first"}], "ephemeralContainers": [{"name": "debug"}]}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": SPEC}
NESTED = {
    "Pod": TEMPLATE,
    "PodTemplate": {"template": TEMPLATE},
    "CronJob": {"spec": {"jobTemplate": {"spec": {"template": TEMPLATE}}}},
    "ScaledJob": {"spec": {"jobTargetRef": {"template": TEMPLATE}}},
}


def resource(type_: str, properties: dict[str, Any], **options: Any) -> Resource:
    return Resource(f"urn:pulumi:prod::assistant::{type_}::x", type_, "x", properties, **options)


def workload(type_: str, metadata: dict[str, Any] | None = None) -> Resource:
    kind = type_.rpartition(":")[2].removesuffix("Patch").removesuffix("List")
    owner = {"metadata": metadata or {"name": "web"}} | NESTED.get(kind, {"spec": {"template": TEMPLATE}})
    if kind == "Pod":
        owner["metadata"] = {**owner["metadata"], "labels": {"app": "web"}}
    return resource(type_, {"items": [owner, owner]} if type_.endswith("List") else owner)


@pytest.mark.parametrize("type_", [*WORKLOADS, *PATCHES])
def test_every_container_of_every_kind_of_workload_is_seen(type_: str) -> None:
    pods = pods_of(workload(type_))
    assert len(pods) == (2 if type_.endswith("List") else 1)
    for pod in pods:
        assert [container.text("name") for container in pod.containers()] == ["first", "main", "debug"]
        assert [container.text("name") for container in pod.containers("containers")] == ["main"]
        assert pod.labels() == {"app": "web"}
        assert pod.kind == type_.rpartition(":")[2].removesuffix("Patch").removesuffix("List")


def test_the_kinds_that_run_pods_today_are_among_the_workloads() -> None:
    names = {"apps/v1:Deployment", "apps/v1:StatefulSet", "apps/v1:DaemonSet", "apps/v1:ReplicaSet", "batch/v1:Job"}
    names |= {"batch/v1:CronJob", "core/v1:Pod", "core/v1:PodTemplate", "core/v1:PodList"}
    assert {f"kubernetes:{name}" for name in names} <= set(WORKLOADS)
    assert "kubernetes:apps/v1:DaemonSetPatch" in PATCHES
    assert "kubernetes:apps/v1:DaemonSetPatch" not in WORKLOADS


def test_what_is_no_workload_or_has_no_template_has_no_pods() -> None:
    assert pods_of(resource("kubernetes:core/v1:Service", {"spec": {}})) == []
    assert pods_of(resource("kubernetes:apps/v1:Deployment", {"spec": {}})) == []
    assert pods_of(resource("kubernetes:apps/v1:Deployment", {"spec": {"template": {}}})) == []


def test_a_path_says_where_in_the_workload_a_container_stands() -> None:
    (pod,) = pods_of(workload("kubernetes:batch/v1:CronJob"))
    assert pod.containers()[0].path("image") == "spec.jobTemplate.spec.template.spec.initContainers[0].image"
    assert pod.name == "web"


def test_what_is_unknown_in_one_container_hides_no_finding_in_another() -> None:
    spec = {"initContainers": [{"image": UNKNOWN}], "containers": [{"image": "bad"}]}
    seen = resource("kubernetes:core/v1:Pod", {"spec": spec})

    def says(wanted: str) -> Verdict:
        return each_container(seen, lambda _pod, view: fail("found") if view.text("image") == wanted else PASS)

    assert says("bad") == fail("found")
    assert says("none").outcome is Outcome.UNDETERMINED
    assert each_container(seen, lambda _pod, view: fail("all")) == fail("all", "all")
    assert each_container(seen, lambda _pod, view: fail("all"), "containers") == fail("all")


def test_the_namespace_is_the_one_that_is_named_or_that_the_edges_lead_to() -> None:
    namespace = resource("kubernetes:core/v1:Namespace", {"metadata": {"name": "assistant"}})
    unnamed = resource("kubernetes:core/v1:Namespace", {"metadata": {"name": UNKNOWN}})
    bare = resource("kubernetes:core/v1:Namespace", {})
    named = workload("kubernetes:apps/v1:Deployment", {"namespace": "kube-system"})
    none = workload("kubernetes:apps/v1:Deployment", {"name": "web"})
    properties = {**named.properties, "metadata": {"namespace": UNKNOWN}}
    linked = resource(named.type, properties, property_dependencies={"metadata": (namespace.urn,)})
    assert namespace_of(Stack([named]), named) == "kube-system"
    assert namespace_of(Stack([none]), none) == namespace_of(Stack([bare]), bare) == "default"
    assert namespace_of(Stack([namespace, linked]), linked) == "assistant"
    assert namespace_of(Stack([unnamed, linked]), linked) == namespace_of(Stack([bare, linked]), linked) == namespace.urn
    with pytest.raises(NotKnown):
        namespace_of(Stack([linked]), linked)
    item = View({"metadata": {"namespace": "other"}})
    assert namespace_of(Stack([named]), named, item) == "other"


def test_labels_that_are_not_there_are_none() -> None:
    assert labels_of(None) == labels_of(View({})) == {}
    assert labels_of(View({"labels": {"a": "b", "c": None}})) == {"a": "b", "c": ""}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {}}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "front"}}, False),
        ({"matchLabels": {"app": "api"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["api"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["api"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_a_selector_selects(selector: Any, selected: bool) -> None:
    assert selects(View(selector) if selector is not None else None, {"app": "web"}) is selected


def test_an_operator_that_is_none_is_malformed() -> None:
    with pytest.raises(Malformed, match="operator"):
        selects(View({"matchExpressions": [{"key": "app", "operator": "Like"}]}), {"app": "web"})


def test_a_service_without_a_selector_selects_no_pod() -> None:
    assert not selected_by_pairs(None, {"app": "web"})
    assert not selected_by_pairs(View({}), {"app": "web"})
    assert selected_by_pairs(View({"app": "web"}), {"app": "web", "tier": "front"})
    assert not selected_by_pairs(View({"app": "web", "tier": "back"}), {"app": "web", "tier": "front"})


def test_only_a_selector_that_says_nothing_selects_all() -> None:
    assert selects_all(View({}))
    assert selects_all(View({"matchLabels": {}, "matchExpressions": []}))
    assert not selects_all(None)
    assert not selects_all(View({"matchLabels": {"app": "web"}}))
    assert not selects_all(View({"matchLabels": UNKNOWN}))
    assert not selects_all(View({"matchExpressions": [{"key": "app", "operator": "Exists"}]}))
