"""Secrets reach a container as files in memory: what its environment says, and where the files that it names lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Final

from policies.ecs import DEFINITIONS, TASK_DEFINITION, known_containers, unknown_tasks
from policies.pods import PROPERTIES, WORKLOADS, Pod, each_container
from policies.resource import View
from policies.rule import PASS, Check, Relation, Verdict, each, fail
from policies.secret_variables import FILE_SUFFIX, holds_a_secret, names_a_file
from policies.show import show

# Volumes whose files Kubernetes keeps in memory, or that a driver of secrets fills.
IN_MEMORY: Final = ("secret", "projected", "csi")


def of_pod(pod: Pod, container: View) -> Verdict:
    volumes = {volume.text("name") or "": volume for volume in pod.spec.mappings("volumes") or []}
    mounted = [
        (mount.text("mountPath") or "", volumes.get(mount.text("name") or ""))
        for mount in container.mappings("volumeMounts") or []
    ]
    places = {path: volume is not None and _in_memory(volume) for path, volume in mounted}
    return each(
        partial(_of_environment, container, "env", places),
        *(partial(_of_whole, source) for source in container.mappings("envFrom") or []),
    )


def _in_memory(volume: View) -> bool:
    directory = volume.mapping("emptyDir")
    return any(kind in volume for kind in IN_MEMORY) or (directory is not None and directory.text("medium") == "Memory")


def _of_whole(source: View) -> Verdict:
    """``envFrom`` puts every entry of a Secret into the environment."""
    return fail(f"{source.path('secretRef')} puts a Secret into the environment: mount it") if "secretRef" in source else PASS


def of_task(_task: View, container: View) -> Verdict:
    linux = container.mapping("linuxParameters")
    temporary = (linux.mappings("tmpfs") or []) if linux else []
    places = {each_one.text("containerPath") or "": True for each_one in temporary}
    return each(
        partial(_of_environment, container, "environment", places),
        # The agent puts these into the environment under their names, whatever these are.
        *(partial(_of_agent, secret) for secret in container.mappings("secrets") or []),
    )


def _of_agent(secret: View) -> Verdict:
    name = secret.text("name") or ""
    return fail(f"{secret.path('name')} puts a secret into the environment as {show(name)}: fetch it into a tmpfs")


def _of_environment(container: View, name: str, places: Mapping[str, bool]) -> Verdict:
    return each(*(partial(_of_variable, variable, places) for variable in container.mappings(name) or []))


def _of_variable(variable: View, places: Mapping[str, bool]) -> Verdict:
    name = variable.text("name") or ""
    source = variable.mapping("valueFrom")
    if source is not None and "secretKeyRef" in source:
        return fail(f"{variable.path('valueFrom')} puts a key of a Secret into the environment as {show(name)}: mount it")
    if holds_a_secret(name):
        return fail(f"{variable.path('name')} is {show(name)}, which holds a secret; {name}{FILE_SUFFIX} would name its file")
    if names_a_file(name):
        return _file(variable, name, places)
    return PASS


def _file(variable: View, name: str, places: Mapping[str, bool]) -> Verdict:
    value = variable.text("value") or ""
    if not value.startswith("/"):
        return fail(f"{variable.path('value')} of {show(name)} is no absolute path")
    path = PurePosixPath(normpath(value))
    place = _innermost(path, places)
    if place is not None and places[place]:
        return PASS
    where = "nothing that is mounted" if place is None else f"{show(place)}, which is not in memory"
    return fail(f"{show(name)} names a file below {where}: use a volume of secrets or a tmpfs")


def _innermost(path: PurePosixPath, places: Iterable[str]) -> str | None:
    around = [place for place in places if place and PurePosixPath(normpath(place)) in path.parents]
    return max(around, key=len, default=None)


CHECKS: Final = (
    Check(types=WORKLOADS, properties=PROPERTIES, judge=partial(each_container, judge=of_pod)),
    Check(types=(TASK_DEFINITION,), properties=(DEFINITIONS,), judge=known_containers(of_task)),
)
RELATIONS: Final = (Relation(reads={TASK_DEFINITION: (DEFINITIONS,)}, judge=unknown_tasks(of_task)),)
