"""Whether a pod or a task is asked apart if it lives and if it may be given work (R73, which stands in process.py)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.ecs import DEFINITIONS, TASK_DEFINITION, containers_in
from policies.pods import PROPERTIES, WORKLOADS, Pod, each_container, namespace_of, pods_of
from policies.relations import meant
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Check, Finding, Relation, Verdict, each, fail, found
from policies.selectors import selected_by_pairs
from policies.show import show
from policies.values import Value

PROBES: Final = ("livenessProbe", "readinessProbe")
WAYS: Final = ("exec", "tcpSocket", "grpc")  # in which a probe asks, but for HTTP
SERVICE: Final = "kubernetes:core/v1:Service"
ECS_SERVICE: Final = "aws:ecs/service:Service"
TARGET_GROUPS: Final = ("aws:lb/targetGroup:TargetGroup", "aws:alb/targetGroup:TargetGroup")


def asked_apart(resource: Resource) -> Verdict:
    """A restart mends what liveness tells; asked of readiness, it would fell a pod because something else is away."""
    return each_container(resource, _apart, "containers")


def _apart(_pod: Pod, container: View) -> Verdict:
    live, ready = (container.mapping(name) for name in PROBES)
    if live is None or ready is None or _question(live) != _question(ready):
        return PASS
    return fail(f"{container.path(PROBES[0])} asks the same as {PROBES[1]}, so what is not ready is restarted")


def _question(probe: View) -> Value:
    """A path, whatever port it is asked on; else all that is asked."""
    http = probe.mapping("httpGet")
    if http is not None:
        return http.text("path") or "/"
    return {way: asked for way in WAYS if (asked := probe.known(way)) is not None}


def served_pods_are_asked(stack: Stack) -> Sequence[Finding]:
    """What a Service leads to has both probes in each container that listens."""
    services = stack.of_type(SERVICE)
    pods = stack.of_type(*WORKLOADS) if services else []
    return [found(resource, partial(_asked, stack, services, resource)) for resource in pods]


def _asked(stack: Stack, services: Sequence[Resource], resource: Resource) -> Verdict:
    return each(*(partial(_pod_is_asked, stack, services, resource, pod) for pod in pods_of(resource)))


def _pod_is_asked(stack: Stack, services: Sequence[Resource], resource: Resource, pod: Pod) -> Verdict:
    namespace, labels = namespace_of(stack, resource, pod.owner), pod.labels()
    served = any(
        selected_by_pairs(service.view.within("spec", "selector"), labels) and namespace_of(stack, service) == namespace
        for service in services
    )
    listening = [container for container in pod.containers("containers") if container.mappings("ports")] if served else []
    return each(*(partial(_has, container, name) for container in listening for name in PROBES))


def _has(container: View, name: str) -> Verdict:
    return PASS if container.mapping(name) else fail(f"{container.path(name)} is missing, though a Service leads to it")


def tasks_are_asked_apart(stack: Stack) -> Sequence[Finding]:
    """The load balancer asks whether a task is ready; its own health check, whose failure ends it, asks something else."""
    behind = [service for service in stack.of_type(ECS_SERVICE) if "loadBalancers" in service.view]
    return [found(service, partial(_task_is_asked_apart, stack, service)) for service in behind]


def _task_is_asked_apart(stack: Stack, service: Resource) -> Verdict:
    groups = meant(stack, service, "loadBalancers", TARGET_GROUPS)
    tasks = meant(stack, service, "taskDefinition", (TASK_DEFINITION,))
    if not groups:
        service.view.mappings("loadBalancers")  # raises where nobody knows; else they are no groups of this stack
    if not tasks:
        service.view.text("taskDefinition")
    paths = {path for group in groups if (path := _path_of(group.view)) is not None}
    containers = [container for task in tasks for container in containers_in(stack, task)]
    return each(*(partial(_check_is_another, container, path) for container in containers for path in sorted(paths)))


def _path_of(group: View) -> str | None:
    check = group.mapping("healthCheck")
    return check.text("path") if check else None


def _check_is_another(container: View, path: str) -> Verdict:
    check = container.mapping("healthCheck")
    command = (check.texts("command") or []) if check else []
    asks = any(re.search(rf"{re.escape(path)}(?![\w/-])", word) for word in command)
    return fail(f"{container.path('healthCheck')} asks {show(path)}, as the load balancer does") if asks else PASS


CHECKS: Final = (Check(types=WORKLOADS, properties=PROPERTIES, judge=asked_apart),)
RELATIONS: Final = (
    Relation(
        reads={**dict.fromkeys(WORKLOADS, ("metadata", *PROPERTIES)), SERVICE: ("metadata", "spec")},
        judge=served_pods_are_asked,
    ),
    Relation(
        reads={
            ECS_SERVICE: ("loadBalancers", "taskDefinition"),
            TASK_DEFINITION: (DEFINITIONS,),
            **dict.fromkeys(TARGET_GROUPS, ("healthCheck",)),
        },
        judge=tasks_are_asked_apart,
    ),
)
