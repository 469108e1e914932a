"""Quantities, bounds and redundancy: both sides of each limit, and what must pass."""

from __future__ import annotations

from typing import Any

import pytest
from cases.capacity import RESOURCES, THEME
from kubernetes_resources import budget, changed_task, deployment, labels, scaler, service, task

from policies.ecs import TASK_DEFINITION
from policies.resource import Resource, Stack
from policies.rule import PASS, Outcome, Verdict, all_of, fail, judge, judge_stack
from policies.rules import RULES
from policies.values import UNKNOWN

BY_ID = {rule.id: rule for rule in RULES}
DEPLOYMENT, SERVICE = "kubernetes:apps/v1:Deployment", "kubernetes:core/v1:Service"
HPA, KEDA = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler", "kubernetes:keda.sh/v1alpha1:ScaledObject"
PDB, ECS, TARGET = "kubernetes:policy/v1:PodDisruptionBudget", "aws:ecs/service:Service", "aws:appautoscaling/target:Target"


def resource(type_: str, name: str, properties: dict[str, Any], **options: Any) -> Resource:
    return Resource(f"urn:pulumi:prod::assistant::{type_}::{name}", type_, name, properties, **options)


def check(rule_id: str, given: Resource, rule: Any = None) -> Verdict:
    checks = [each for each in (rule or BY_ID[rule_id]).checks if given.type in each.types]
    assert checks
    return all_of(judge(each, given) for each in checks)


def relate(*resources: Resource, production: bool = True) -> dict[str, Verdict]:
    (relation,) = BY_ID["R43"].relations
    return {each.urn.rpartition("::")[2]: each.verdict for each in judge_stack(relation, Stack(resources, production))}


@pytest.mark.parametrize(
    ("resources", "missing"),
    [
        ({"limits": {"cpu": 1, "memory": "1Gi", "ephemeral-storage": "1Gi"}}, []),  # a request is the limit if left out
        ({"limits": {"cpu": 0.5, "memory": 1e9, "ephemeral-storage": "10Mi"}}, []),
        ({"limits": {"cpu": "0.5", "memory": "010Mi", "ephemeral-storage": "100"}}, []),
        ({"limits": {"cpu": "0.0", "memory": "1Gi", "ephemeral-storage": "0"}}, ["cpu", "cpu", "storage", "storage"]),
        (
            {"requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}},
            ["cpu", "memory", "storage"],
        ),
        (None, ["cpu", "cpu", "memory", "memory", "storage", "storage"]),
    ],
)
def test_a_limit_bounds_and_stands_for_the_request(resources: Any, missing: list[str]) -> None:
    verdict = check("R22", THEME.resource("gateway", {RESOURCES: resources}))
    assert [reason.split(" ")[0].rpartition(".")[2].removeprefix("ephemeral-") for reason in verdict.reasons] == missing


def test_what_the_whole_pod_states_counts_for_its_containers() -> None:
    whole = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1"}}
    changes = {RESOURCES: {"limits": {"ephemeral-storage": "1Gi"}}, "spec/template/spec/resources": whole}
    assert check("R22", THEME.resource("gateway", changes)) == PASS
    (reason,) = check("R22", THEME.resource("gateway", {**changes, RESOURCES: {"requests": whole["limits"]}})).reasons[:1]
    assert "ephemeral-storage" in reason


def test_a_boolean_is_no_quantity_and_a_debugging_container_needs_none() -> None:
    wrong = check("R22", THEME.resource("gateway", {f"{RESOURCES}/limits/cpu": True}))
    assert wrong == fail("spec.template.spec.containers[0].resources.limits.cpu: a quantity was expected, a boolean came")
    assert check("R22", THEME.resource("gateway", {"spec/template/spec/ephemeralContainers": [{"name": "debug"}]})) == PASS


@pytest.mark.parametrize(
    ("of_task", "of_container", "passes"),
    [
        ({"cpu": "1 vCPU", "memory": "2 GB"}, {}, True),
        ({"cpu": None, "memory": None}, {"cpu": 256, "memory": 512}, True),
        ({"cpu": None, "memory": None}, {"cpu": 1, "memory": 1}, True),
        ({"cpu": None, "memory": None}, {"cpu": 0, "memory": 512}, False),
        ({"cpu": "256", "memory": None}, {"cpu": 256}, False),
        ({"cpu": "0", "memory": "512"}, {}, False),
    ],
)
def test_a_task_is_bounded_as_a_whole_or_in_each_container(
    of_task: dict[str, Any], of_container: dict[str, Any], passes: bool
) -> None:
    described = {**task(), **of_task, "containerDefinitions": changed_task(**of_container)}
    given = resource(TASK_DEFINITION, "t", {key: value for key, value in described.items() if value is not None})
    assert (check("R22", given) == PASS) is passes


@pytest.mark.parametrize(("highest", "passes"), [(6, True), (100, True), (101, False)])
def test_the_bound_is_the_configurations_or_a_hundred(highest: int, passes: bool) -> None:
    rule = BY_ID["R23"]
    assert rule.configure is not None
    assert (check("R23", resource(HPA, "x", scaler("x", 2, highest))) == PASS) is passes
    tighter = rule.configure(rule, {"most": 6.0})
    assert (check("R23", resource(HPA, "x", scaler("x", 2, highest)), tighter) == PASS) is (highest == 6)
    assert rule.configure(rule, {}) is rule


@pytest.mark.parametrize(("lowest", "passes"), [(None, True), (0, True), (6, True), (7, False)])
def test_the_least_is_not_more_than_the_most(lowest: int | None, passes: bool) -> None:
    described = scaler("x", 2, 6)
    described["spec"]["minReplicas"] = lowest
    assert (check("R23", resource(HPA, "x", described)) == PASS) is passes


def test_every_kind_of_scaler_has_its_check() -> None:
    types = {type_ for each in BY_ID["R23"].checks for type_ in each.types}
    assert {f"kubernetes:autoscaling/{version}:HorizontalPodAutoscaler" for version in ("v1", "v2", "v2beta2")} <= types
    assert {"kubernetes:keda.sh/v1alpha1:ScaledJob", "kubernetes:karpenter.sh/v1:NodePool"} <= types


def serving(**spec: Any) -> list[Resource]:
    return [
        resource(DEPLOYMENT, "web", deployment("web", **spec)),
        resource(SERVICE, "front", service("web")),
        resource(PDB, "kept", budget("web")),
    ]


@pytest.mark.parametrize(("replicas", "outcome"), [(None, Outcome.FAIL), (1, Outcome.FAIL), (2, Outcome.PASS)])
def test_without_a_scaler_the_workload_says_how_many(replicas: int | None, outcome: Outcome) -> None:
    assert relate(*serving(**({"replicas": replicas} if replicas else {})))["web"].outcome is outcome


def test_where_nobody_depends_on_a_stack_one_is_enough() -> None:
    assert relate(*serving(replicas=1), production=False) == {}


def test_what_no_service_leads_to_serves_nobody() -> None:
    web, _front, _kept = serving(replicas=1)
    assert relate(web) == {}
    elsewhere = resource(SERVICE, "front", service("web", namespace="other"))
    assert relate(web, elsewhere) == {"web": PASS}
    assert relate(web, resource(SERVICE, "front", service("api"))) == {"web": PASS}


@pytest.mark.parametrize(
    ("ports", "serves"),
    [
        ([{"name": "metrics", "port": 9090}], False),
        ([{"name": "metrics", "port": 9090}, {"name": "https", "port": 443}], True),
        ([{"port": 443}], True),
        (UNKNOWN, True),
        (None, True),
        (["metrics"], True),
    ],
)
def test_a_service_that_is_only_scraped_serves_nobody(ports: Any, serves: bool) -> None:
    web, front, kept = serving(replicas=1)
    described = {**front.properties, "spec": {"selector": labels("web"), "ports": ports}}
    assert (relate(web, resource(SERVICE, "front", described), kept) != {}) is serves


def test_keda_says_how_many_and_goes_down_to_none_unless_told_otherwise() -> None:
    target = {"name": "web"}
    for count, outcome in ((None, Outcome.FAIL), (1, Outcome.FAIL), (2, Outcome.PASS)):
        spec = {"scaleTargetRef": target, **({"minReplicaCount": count} if count else {})}
        scaled = resource(KEDA, "web", {"metadata": {"namespace": "assistant"}, "spec": spec})
        assert relate(*serving(replicas=5), scaled)["web"].outcome is outcome


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, True),
        ({"kind": "StatefulSet"}, False),
        ({"name": "other"}, False),
    ],
)
def test_a_scaler_counts_for_the_workload_that_it_names(change: dict[str, str], counts: bool) -> None:
    described = scaler("web", 2)
    described["spec"]["scaleTargetRef"] |= change
    verdict = relate(*serving(replicas=1), resource(HPA, "x", described))["web"]
    assert (verdict == PASS) is counts
    described["metadata"] = {**described["metadata"], "namespace": "other"}
    assert relate(*serving(replicas=1), resource(HPA, "x", described))["web"] != PASS


def test_a_scaler_that_names_nothing_scales_nothing() -> None:
    for described in ({"metadata": {"namespace": "assistant"}}, {"metadata": {"namespace": "assistant"}, "spec": {}}):
        assert relate(*serving(replicas=2), resource(HPA, "x", described))["web"] == PASS


@pytest.mark.parametrize(
    ("spec", "keeps"),
    [
        ({"maxUnavailable": 1}, True),
        ({"maxUnavailable": 0}, True),
        ({"maxUnavailable": 3}, True),
        ({"maxUnavailable": 4}, False),
        ({"maxUnavailable": "50%"}, True),
        ({"maxUnavailable": "99%"}, True),
        ({"maxUnavailable": "100%"}, False),
        ({"minAvailable": 1}, True),
        ({"minAvailable": 0}, False),
        ({"minAvailable": "1%"}, True),
        ({"minAvailable": "0%"}, False),
        ({}, False),
    ],
)
def test_a_budget_keeps_one_of_four(spec: dict[str, Any], keeps: bool) -> None:
    web, front, _kept = serving(replicas=4)
    described = {"metadata": {"namespace": "assistant"}, "spec": {**spec, "selector": {"matchLabels": labels("web")}}}
    assert (relate(web, front, resource(PDB, "kept", described))["web"] == PASS) is keeps


def tasks(target: Resource | None, **changes: Any) -> Verdict | None:
    described = {key: value for key, value in {**THEME.good["tasks"].properties, **changes}.items() if value is not None}
    given = resource(ECS, "tasks", described)
    return relate(given, *([target] if target else [])).get("tasks")


def test_tasks_that_nothing_scales_are_as_many_as_the_service_wants() -> None:
    assert tasks(None, desiredCount=2) == PASS
    assert tasks(None, desiredCount=1) == fail("there may be 1 of its tasks (desiredCount); what serves traffic has 2 at least")
    assert tasks(None, desiredCount=None) != PASS


@pytest.mark.parametrize(
    ("resource_id", "scales"),
    [("service/assistant-prod/gateway", True), ("service/assistant-prod/my-gateway", False), ("table/gateway", False)],
)
def test_a_target_scales_the_service_that_it_names(resource_id: str, scales: bool) -> None:
    target = resource(TARGET, "t", {"resourceId": resource_id, "minCapacity": 2})
    assert (tasks(target) == PASS) is scales


def test_before_it_is_named_the_edges_say_what_a_target_scales() -> None:
    urn = f"urn:pulumi:prod::assistant::{ECS}::tasks"
    edges = {"resourceId": (urn,)}
    target = resource(TARGET, "t", {"resourceId": UNKNOWN, "minCapacity": 2}, property_dependencies=edges)
    assert tasks(target) == PASS
    assert tasks(resource(TARGET, "t", {"resourceId": UNKNOWN, "minCapacity": 2})) != PASS


def test_tasks_that_nobody_asks_may_be_none() -> None:
    assert tasks(None, loadBalancers=None, desiredCount=0) is None
    for way in ("serviceRegistries", "serviceConnectConfiguration"):
        assert tasks(None, loadBalancers=None, **{way: UNKNOWN}) is not None


@pytest.mark.parametrize(("share", "passes"), [(None, True), (100, True), (50, True), (49, False), (0, False)])
def test_half_of_the_tasks_stay_while_others_are_replaced(share: int | None, passes: bool) -> None:
    assert (tasks(None, desiredCount=2, deploymentMinimumHealthyPercent=share) == PASS) is passes


@pytest.mark.parametrize(
    ("network", "passes"),
    [(None, True), ({}, True), ({"subnets": [UNKNOWN, UNKNOWN]}, True), ({"subnets": [UNKNOWN]}, False)],
)
def test_tasks_lie_in_two_subnets(network: Any, passes: bool) -> None:
    assert (tasks(None, desiredCount=2, networkConfiguration=network) == PASS) is passes
