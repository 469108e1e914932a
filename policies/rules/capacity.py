"""How much anything may take: requests and limits of every container, an upper bound for everything that scales."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from policies.ecs import DEFINITIONS, TASK_DEFINITION, known_containers, unknown_tasks
from policies.pods import PROPERTIES, WORKLOADS, Pod, each_container
from policies.resource import Malformed, Resource, View
from policies.rule import PASS, Check, Relation, Rule, Severity, Verdict, each, fail
from policies.rules import links, redundancy
from policies.values import describe, join

BOUNDED: Final = ("cpu", "memory", "ephemeral-storage")
NOTHING: Final = re.compile(r"0*\.?0*[A-Za-z]*")  # "0", "0Mi": no bound at all
LIMITED_LISTS: Final = ("initContainers", "containers")  # Kubernetes lets an ephemeral container ask for nothing
MOST: Final = 100  # pods, tasks or nodes

HORIZONTAL: Final = tuple(
    f"kubernetes:autoscaling/{version}:HorizontalPodAutoscaler" for version in ("v1", "v2", "v2beta1", "v2beta2")
)
SCALED_OBJECT: Final = "kubernetes:keda.sh/v1alpha1:ScaledObject"
SCALED_JOB: Final = "kubernetes:keda.sh/v1alpha1:ScaledJob"
NODE_POOL: Final = tuple(f"kubernetes:karpenter.sh/{version}:NodePool" for version in ("v1", "v1beta1"))
NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
AUTO_SCALING_GROUP: Final = "aws:autoscaling/group:Group"
SCALABLE_TARGET: Final = "aws:appautoscaling/target:Target"


# R22: what a container may take


def requests_and_limits(resource: Resource) -> Verdict:
    return each_container(resource, _bounded, *LIMITED_LISTS)


def _bounded(pod: Pod, container: View) -> Verdict:
    resources, whole = container.mapping("resources"), pod.spec.mapping("resources")
    return each(*(partial(_stated, container, resources, whole, name) for name in BOUNDED))


def _stated(container: View, resources: View | None, whole: View | None, name: str) -> Verdict:
    """``whole``: of the pod, for all its containers together. A request that is left out is the limit."""
    limit = _quantity(resources, "limits", name) or _quantity(whole, "limits", name)
    request = _quantity(resources, "requests", name) or _quantity(whole, "requests", name) or limit
    where = container.path("resources")
    return each(
        lambda: PASS if limit else fail(f"{where}.limits.{name} is not set"),
        lambda: PASS if request else fail(f"{where}.requests.{name} is not set"),
    )


def _quantity(resources: View | None, kind: str, name: str) -> str:
    """As Kubernetes writes it, ``250m`` or ``1``; empty where none is set, or one that bounds nothing."""
    stated = resources.mapping(kind) if resources else None
    value = stated.known(name) if stated else None
    if stated is None or value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Malformed(stated.path(name), "a quantity", describe(value))
    return "" if NOTHING.fullmatch(str(value)) else str(value)


def task_is_bounded(task: View, container: View) -> Verdict:
    """On Fargate the task's own size bounds it; on an instance each container needs its own where the task has none."""
    return each(*(partial(_task_states, task, container, name) for name in ("cpu", "memory")))


def _task_states(task: View, container: View, name: str) -> Verdict:
    if _positive(task, name) or _positive(container, name):
        return PASS
    return fail(f"{name} is set neither for the task nor as {container.path(name)}")


def _positive(view: View, name: str) -> bool:
    value = view.known(name)
    if isinstance(value, str):  # "256", and "1 vCPU" or "2 GB" in the console's words
        return bool(re.match(r"\s*0*[1-9]", value))
    return (view.integer(name) or 0) > 0


# R23: how many there may be


def bounded_pods(most: int) -> Callable[[Resource], Verdict]:
    return lambda resource: _within(resource.view.mapping("spec"), "spec", "minReplicas", "maxReplicas", most)


def bounded_by_keda(most: int) -> Callable[[Resource], Verdict]:
    """Without a word KEDA goes up to 100, which nobody chose."""
    return lambda resource: _within(resource.view.mapping("spec"), "spec", "minReplicaCount", "maxReplicaCount", most)


def bounded_nodes(most: int) -> Callable[[Resource], Verdict]:
    return lambda resource: _within(resource.view.mapping("scalingConfig"), "scalingConfig", "minSize", "maxSize", most)


def bounded_instances(most: int) -> Callable[[Resource], Verdict]:
    return lambda resource: _within(resource.view, "", "minSize", "maxSize", most)


def bounded_tasks(most: int) -> Callable[[Resource], Verdict]:
    return lambda resource: _within(resource.view, "", "minCapacity", "maxCapacity", most)


def _within(view: View | None, where: str, lower: str, upper: str, most: int) -> Verdict:
    highest = view.integer(upper) if view else None
    if view is None or highest is None:
        return fail(f"{join((where, upper) if where else (upper,))} is not set: nothing says where growth ends")
    lowest = view.integer(lower) or 0
    return each(
        lambda: PASS if highest <= most else fail(f"{view.path(upper)} is {highest}; it is {most} at most"),
        lambda: PASS if lowest <= highest else fail(f"{view.path(lower)} is {lowest}, more than {upper}, {highest}"),
    )


def bounded_pool(resource: Resource) -> Verdict:
    """Karpenter makes nodes until the pool's limits are reached."""
    limits = resource.view.within("spec", "limits")
    return PASS if limits is not None and limits.names() else fail("spec.limits is not set: nothing says where growth ends")


def _bounds(most: int) -> tuple[Check, ...]:
    return (
        Check(types=HORIZONTAL, properties=("spec",), judge=bounded_pods(most)),
        Check(types=(SCALED_OBJECT, SCALED_JOB), properties=("spec",), judge=bounded_by_keda(most)),
        Check(types=NODE_POOL, properties=("spec",), judge=bounded_pool),
        # Of a node group the number of the moment is the autoscaler's, and rightly ignored.
        Check(types=(NODE_GROUP,), properties=("scalingConfig.minSize", "scalingConfig.maxSize"), judge=bounded_nodes(most)),
        Check(types=(AUTO_SCALING_GROUP,), properties=("minSize", "maxSize"), judge=bounded_instances(most)),
        Check(types=(SCALABLE_TARGET,), properties=("minCapacity", "maxCapacity"), judge=bounded_tasks(most)),
    )


def _configured(rule: Rule, given: Mapping[str, Any]) -> Rule:
    return replace(rule, checks=_bounds(int(given["most"]))) if "most" in given else rule


_TASK: Final = (DEFINITIONS, "cpu", "memory")

RULES: Final = (
    Rule(
        id="R22",
        name="requests-and-limits",
        title="Every container states what it asks for and the most it may take: CPU, memory, ephemeral storage",
        severity=Severity.MEDIUM,
        controls=("8.6",),
        remedy="set resources.requests and resources.limits for cpu, memory and ephemeral-storage (ECS: cpu and memory)",
        link=links.RESOURCES,
        checks=(
            Check(types=WORKLOADS, properties=PROPERTIES, judge=requests_and_limits),
            Check(types=(TASK_DEFINITION,), properties=_TASK, judge=known_containers(task_is_bounded)),
        ),
        relations=(Relation(reads={TASK_DEFINITION: _TASK}, judge=unknown_tasks(task_is_bounded)),),
    ),
    Rule(
        id="R23",
        name="autoscalers-bounded",
        title="Whatever scales by itself has an upper bound",
        severity=Severity.MEDIUM,
        controls=("8.6",),
        remedy=f"set the largest number that is wanted, at most {MOST} or what the rule's configuration says",
        link=links.AUTOSCALING,
        checks=_bounds(MOST),
        schema={"most": {"type": "integer", "minimum": 1, "default": MOST, "description": "pods, tasks or nodes"}},
        configure=_configured,
    ),
    *redundancy.RULES,
)
