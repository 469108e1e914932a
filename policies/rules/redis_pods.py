"""Redis in a pod: its command, and the files that ConfigMaps and Secrets of the stack put beside it, read as a process' are."""

from __future__ import annotations

import base64
import binascii
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Final

from policies.local_types import REDIS_SERVERS
from policies.pods import WORKLOADS, Pod, pods_of
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Finding, Outcome, Relation, Verdict, each, found, undetermined
from policies.rules.redis_access import authenticated
from policies.show import show
from policies.values import UNKNOWN, Value, leaves

CONFIG_MAP: Final = "kubernetes:core/v1:ConfigMap"
SECRET: Final = "kubernetes:core/v1:Secret"  # noqa: S105 - a type
# What makes passwords: a file that is computed from one of these, and not known yet for that reason, has a password in it.
GENERATORS: Final = ("pulumi-python:dynamic/generated:Secrets", "random:index/randomPassword:RandomPassword")
IMAGES: Final = ("redis", "valkey")
PASSWORD_VARIABLES: Final = ("REDIS_PASSWORD", "REDIS_PASSWORD_FILE", "VALKEY_PASSWORD", "VALKEY_PASSWORD_FILE")
# The workloads' own properties are the business of the rules on pods: where they cannot be read, nobody knows it for Redis.
READS: Final = {CONFIG_MAP: ("data",), SECRET: ("data", "stringData")}


def logs_in(stack: Stack) -> Sequence[Finding]:
    return [
        found(workload, partial(_workload, stack, workload, servers))
        for workload in stack.of_type(*WORKLOADS)
        if (servers := list(_servers(workload)))
    ]


def _servers(workload: Resource) -> Iterator[tuple[Pod, View, list[str]]]:
    """The containers that run Redis, each with its command as if no shell stood before it."""
    for pod in _readable_pods(workload):
        for container in pod.containers("containers", "initContainers"):
            words = [*(container.texts("command") or []), *(container.texts("args") or [])]
            command = _command(words)
            if command or (not words and _image(container) in IMAGES):
                yield pod, container, command or ["redis-server"]


def _readable_pods(workload: Resource) -> list[Pod]:
    """What cannot be read at all is said by the rules on pods."""
    try:
        pods = pods_of(workload)
        for pod in pods:
            for container in pod.containers():
                container.texts("command"), container.texts("args")
    except Exception:
        return []
    return pods


def _command(words: Sequence[str]) -> list[str]:
    """From the server's own word on: `sh -c "exec redis-server …"` is a command as well."""
    flat = [part for word in words for part in (_split(word) if " " in word else [word])]
    starts = [place for place, word in enumerate(flat) if REDIS_SERVERS.fullmatch(PurePosixPath(word).name)]
    return flat[starts[0] :] if starts else []


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _image(container: View) -> str:
    """``registry.example.com/library/redis:7@sha256:…`` -> ``redis``"""
    image = container.raw("image")
    return PurePosixPath(image.partition("@")[0]).name.partition(":")[0] if isinstance(image, str) else ""


def _workload(stack: Stack, workload: Resource, servers: Sequence[tuple[Pod, View, list[str]]]) -> Verdict:
    return each(*(partial(_server, stack, workload, pod, container, command) for pod, container, command in servers))


def _server(stack: Stack, mounting: Resource, pod: Pod, container: View, command: list[str]) -> Verdict:
    if any(variable.raw("name") in PASSWORD_VARIABLES for variable in container.mappings("env") or []) and len(command) == 1:
        return PASS  # the images that read a password from their environment start the server themselves
    holders = _mounted(stack, pod)
    files: dict[str, Value] = {}
    for holder in holders:
        files.update(_files(holder))
    file = PurePosixPath(command[1]).name if len(command) > 1 and not command[1].startswith("--") else ""
    if file and file not in files:
        verdict = undetermined(f"the server reads {show(file)}, which no ConfigMap or Secret of this stack holds")
    else:
        verdict = found(mounting, lambda: authenticated(View({"command": list(command), "configurationFiles": files}))).verdict
    if verdict.outcome is Outcome.UNDETERMINED and any(_awaits_a_password(stack, holder) for holder in holders):
        return PASS
    return verdict


def _mounted(stack: Stack, pod: Pod) -> list[Resource]:
    """Every ConfigMap and Secret of the stack that the pod has as a volume."""
    names: set[tuple[str, str]] = set()
    for volume in pod.spec.mappings("volumes") or []:
        projected = volume.mapping("projected")
        for source in (volume, *((projected.mappings("sources") or []) if projected else [])):
            for kind, holder in ((CONFIG_MAP, "configMap"), (SECRET, "secret")):
                inner = source.mapping(holder)
                name = (inner.raw("secretName") or inner.raw("name")) if inner else None
                if isinstance(name, str):
                    names.add((kind, name))
    return [each for each in stack.of_type(CONFIG_MAP, SECRET) if (each.type, _name(each)) in names]


def _name(resource: Resource) -> str:
    metadata = resource.view.raw("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _files(holder: Resource) -> Mapping[str, Value]:
    """By name. Of a Secret, ``data`` in Base64 and ``stringData`` as it is, which wins."""
    files: dict[str, Value] = {}
    for name, encoded in (("data", holder.type == SECRET), ("stringData", False)):
        held = holder.view.raw(name)
        if isinstance(held, dict):
            view = View(held)
            files |= {key: _decoded(view.raw(key)) if encoded else view.raw(key) for key in held}
    return files


def _decoded(value: Value) -> Value:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return value


def _awaits_a_password(stack: Stack, holder: Resource) -> bool:
    """Something in it is not known yet, and it is computed from what makes passwords: the users' list gets one."""
    unknown = any(
        leaf.value is UNKNOWN for name in ("data", "stringData") for leaf in leaves(holder.properties.get(name), (name,))
    )
    edges = {urn for urns in holder.property_dependencies.values() for urn in urns}
    return unknown and any(generator.urn in edges for generator in stack.of_type(*GENERATORS))


AUTHENTICATION: Final = Relation(reads=READS, judge=logs_in)
