"""The containers of an ECS task definition, whose ``containerDefinitions`` is a JSON text.

On a first preview that text is unknown as a whole, since it holds the ARNs of what is still to be made. What is known of it all
the same stands in an output of the component that made it: ``containers``, the list before it became a text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from policies.resource import Malformed, NotKnown, Resource, Stack, View
from policies.rule import PASS, Finding, Verdict, each, found
from policies.values import UNKNOWN, Value

TASK_DEFINITION: Final = "aws:ecs/taskDefinition:TaskDefinition"
DEFINITIONS: Final = "containerDefinitions"
CONTAINERS: Final = "containers"  # an output of assistant:aws:EcsTask

# The names that the rules ask for. AWS' provider reads the text with Go's JSON, for which {"Privileged": true} is the same.
_NAMES: Final = {
    name.lower(): name
    for name in (
        *("name", "image", "user", "privileged", "readonlyRootFilesystem", "linuxParameters", "capabilities", "add", "drop"),
        *("devices", "dockerSecurityOptions", "cpu", "memory", "environment", "value", "secrets", "healthCheck", "command"),
    )
}

Judge = Callable[[View, View], Verdict]


def containers_of(task: Resource) -> list[View]:
    """Raises :class:`NotKnown` for a text that is not known yet, :class:`Malformed` for one that is no list of mappings."""
    text = task.view.text(DEFINITIONS)
    try:
        value = json.loads(text) if text else []
    except ValueError:
        raise Malformed(DEFINITIONS, "JSON", "another text") from None
    return View({DEFINITIONS: _named(value)}).mappings(DEFINITIONS) or []


def _named(value: Any) -> Value:
    if isinstance(value, dict):
        return {_NAMES.get(str(key).lower(), str(key)): _named(item) for key, item in value.items()}
    return [_named(item) for item in value] if isinstance(value, list) else value


def declared_containers(stack: Stack, task: Resource) -> list[View]:
    """Of a task definition whose text is not known: what its component says of it. Raises :class:`NotKnown` without one."""
    component = stack.by_urn.get(task.parent)
    declared = component.view.mappings(CONTAINERS) if component else None
    if declared is None:
        raise NotKnown(DEFINITIONS)
    return declared


def is_known(task: Resource) -> bool:
    return task.view.raw(DEFINITIONS) is not UNKNOWN


def containers_in(stack: Stack, task: Resource) -> list[View]:
    return containers_of(task) if is_known(task) else declared_containers(stack, task)


def known_containers(judge: Judge) -> Callable[[Resource], Verdict]:
    """For a check: ``judge`` of each container (with the task definition). An unknown text is left to :func:`unknown_tasks`."""

    def check(task: Resource) -> Verdict:
        if not is_known(task):
            return PASS
        return each(*(partial(judge, task.view, container) for container in containers_of(task)))

    return check


def unknown_tasks(judge: Judge) -> Callable[[Stack], list[Finding]]:
    """For a relation: the same of the task definitions whose text is not known, by what their components declare."""

    def relate(stack: Stack) -> list[Finding]:
        tasks = [task for task in stack.of_type(TASK_DEFINITION) if not is_known(task)]
        return [found(task, partial(_declared, judge, stack, task)) for task in tasks]

    return relate


def _declared(judge: Judge, stack: Stack, task: Resource) -> Verdict:
    return each(*(partial(judge, task.view, container) for container in declared_containers(stack, task)))


def runs_on_fargate(task: View) -> bool:
    return "FARGATE" in (task.texts("requiresCompatibilities") or [])
