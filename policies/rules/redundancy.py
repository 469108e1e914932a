"""What serves traffic in production survives the loss of one pod, node or zone: several of it, apart, never all at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.pods import PROPERTIES, WORKLOADS, Pod, namespace_of, pods_of
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Finding, Relation, Rule, Severity, Verdict, each, fail, found
from policies.rules import links
from policies.selectors import selected_by_pairs, selects

LEAST: Final = 2
LEAST_HEALTHY: Final = 50  # percent of a service's tasks that stay while others are replaced
# Kinds that keep a number of pods of which any does; a DaemonSet has one a node and a Job ends.
KEPT: Final = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "ReplicationController", "Rollout"})
SERVING: Final = tuple(name for name in WORKLOADS if name.rpartition(":")[2].removesuffix("List") in KEPT)
SERVICE: Final = "kubernetes:core/v1:Service"
SCALERS: Final = tuple(f"kubernetes:autoscaling/{version}:HorizontalPodAutoscaler" for version in ("v1", "v2"))
SCALED_OBJECT: Final = "kubernetes:keda.sh/v1alpha1:ScaledObject"
BUDGETS: Final = tuple(f"kubernetes:policy/{version}:PodDisruptionBudget" for version in ("v1", "v1beta1"))
METRICS: Final = "metrics"  # the port's name of a Service that is only scraped
ECS_SERVICE: Final = "aws:ecs/service:Service"
TARGET: Final = "aws:appautoscaling/target:Target"
# Through which others find an ECS service's tasks.
WAYS_IN: Final = ("loadBalancers", "serviceRegistries", "serviceConnectConfiguration")


def survives_a_loss(stack: Stack) -> Sequence[Finding]:
    """Nothing is said of stacks on which nobody depends: there one of everything is what is wanted."""
    if not stack.production:
        return []
    serving = [service for service in stack.of_type(SERVICE) if _is_asked(service)]
    pods = stack.of_type(*SERVING) if serving else []
    tasks = [service for service in stack.of_type(ECS_SERVICE) if any(name in service.view for name in WAYS_IN)]
    return [
        *(found(resource, partial(_pods_survive, stack, serving, resource)) for resource in pods),
        *(found(service, partial(_tasks_survive, stack, service)) for service in tasks),
    ]


def _is_asked(service: Resource) -> bool:
    """Whether anybody but the monitoring asks it; one that cannot be read is."""
    spec = service.view.raw("spec")
    ports = spec.get("ports") if isinstance(spec, dict) else None
    names = [port.get("name") if isinstance(port, dict) else None for port in ports] if isinstance(ports, list) else []
    return not names or any(name != METRICS for name in names)


def _pods_survive(stack: Stack, serving: Sequence[Resource], resource: Resource) -> Verdict:
    return each(*(partial(_pod_survives, stack, serving, resource, pod) for pod in pods_of(resource)))


def _pod_survives(stack: Stack, serving: Sequence[Resource], resource: Resource, pod: Pod) -> Verdict:
    namespace, labels = namespace_of(stack, resource, pod.owner), pod.labels()
    if not any(_leads_to(stack, service, namespace, labels) for service in serving):
        return PASS
    return each(
        lambda: _enough(stack, namespace, pod),
        lambda: _kept_by_a_budget(stack, namespace, labels, least_pods(stack, namespace, pod)),
        lambda: _apart(pod, labels),
    )


def _leads_to(stack: Stack, service: Resource, namespace: str, labels: dict[str, str]) -> bool:
    selector = service.view.within("spec", "selector")
    return selected_by_pairs(selector, labels) and namespace_of(stack, service) == namespace


def _enough(stack: Stack, namespace: str, pod: Pod) -> Verdict:
    least = least_pods(stack, namespace, pod)
    return PASS if least >= LEAST else fail(f"there may be {least} of its pods; what serves traffic has {LEAST} at least")


def least_pods(stack: Stack, namespace: str, pod: Pod) -> int:
    """By what scales it, or else as the workload says."""
    for scaler in stack.of_type(*SCALERS, SCALED_OBJECT):
        spec = scaler.view.mapping("spec")
        target = spec.mapping("scaleTargetRef") if spec else None
        if spec is None or target is None or namespace_of(stack, scaler) != namespace:
            continue
        if (target.text("kind") or "Deployment", target.text("name")) == (pod.kind, pod.name):
            if scaler.type == SCALED_OBJECT:
                return spec.integer("minReplicaCount") or 0
            stated = spec.integer("minReplicas")
            return 1 if stated is None else stated
    spec = pod.owner.mapping("spec")
    replicas = spec.integer("replicas") if spec else None
    return 1 if replicas is None else replicas


def _kept_by_a_budget(stack: Stack, namespace: str, labels: dict[str, str], least: int) -> Verdict:
    for budget in stack.of_type(*BUDGETS):
        spec = budget.view.mapping("spec")
        if spec and namespace_of(stack, budget) == namespace and selects(spec.mapping("selector"), labels):
            return PASS if _keeps_one(spec, least) else fail("its PodDisruptionBudget lets all of its pods go at once")
    return fail("no PodDisruptionBudget selects its pods: an upgrade of the nodes may take all of them at once")


def _keeps_one(spec: View, least: int) -> bool:
    kept, gone = _share(spec, "minAvailable", least), _share(spec, "maxUnavailable", least)
    return (kept is not None and kept > 0) or (gone is not None and gone < max(least, 1))


def _share(spec: View, name: str, of: int) -> float | None:
    """A number, or a percentage of ``of``."""
    value = spec.known(name)
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdecimal():
        return of * int(value[:-1]) / 100
    return spec.integer(name)


def _apart(pod: Pod, labels: dict[str, str]) -> Verdict:
    for constraint in pod.spec.mappings("topologySpreadConstraints") or []:
        if constraint.text("topologyKey") and selects(constraint.mapping("labelSelector"), labels):
            return PASS
    return fail(f"{pod.spec.path('topologySpreadConstraints')} spreads its pods over nothing")


def _tasks_survive(stack: Stack, service: Resource) -> Verdict:
    return each(
        lambda: _enough_tasks(stack, service),
        lambda: _some_stay(service.view),
        lambda: _in_two_subnets(service.view),
    )


def _enough_tasks(stack: Stack, service: Resource) -> Verdict:
    targets = [target for target in stack.of_type(TARGET) if _scales(target, service)]
    # Where something scales it, the service's own number is that of the first moment, and ignored ever after.
    source, name = (targets[0].view, "minCapacity") if targets else (service.view, "desiredCount")
    least = source.integer(name) or 0
    if least >= LEAST:
        return PASS
    return fail(f"there may be {least} of its tasks ({name}); what serves traffic has {LEAST} at least")


def _scales(target: Resource, service: Resource) -> bool:
    if service.urn in target.property_dependencies.get("resourceId", ()):
        return True
    named, name = target.view.raw("resourceId"), service.view.raw("name")
    return isinstance(named, str) and isinstance(name, str) and named.startswith("service/") and named.endswith(f"/{name}")


def _some_stay(service: View) -> Verdict:
    share = service.integer("deploymentMinimumHealthyPercent")
    if share is None or share >= LEAST_HEALTHY:
        return PASS
    return fail(f"deploymentMinimumHealthyPercent is {share}: with {LEAST} tasks both may be replaced at once")


def _in_two_subnets(service: View) -> Verdict:
    network = service.mapping("networkConfiguration")
    subnets = network.known("subnets") if network else None
    if not isinstance(subnets, list):
        return PASS  # on instances, whose own places decide
    return PASS if len(subnets) >= LEAST else fail("networkConfiguration.subnets has one subnet, and so one zone")


RULES: Final = (
    Rule(
        id="R43",
        name="serves-redundantly",
        title=f"What serves traffic in production has {LEAST} pods or tasks at least, apart, and never loses all at once",
        severity=Severity.MEDIUM,
        controls=("8.14",),
        remedy=f"run {LEAST} or more (the autoscaler's minimum), with a PodDisruptionBudget and topologySpreadConstraints",
        link=links.DISRUPTIONS,
        relations=(
            Relation(
                reads={
                    **dict.fromkeys(SERVING, ("metadata", *PROPERTIES)),
                    **dict.fromkeys((SERVICE, *SCALERS, SCALED_OBJECT, *BUDGETS), ("metadata", "spec")),
                    ECS_SERVICE: ("deploymentMinimumHealthyPercent", "networkConfiguration"),
                    TARGET: ("minCapacity", "resourceId"),
                },
                judge=survives_a_loss,
            ),
        ),
    ),
)
