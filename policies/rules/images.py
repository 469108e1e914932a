"""Which software runs: images named by their content, out of registries that somebody chose, scanned when they arrive."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from policies.ecs import DEFINITIONS, TASK_DEFINITION, containers_in, known_containers
from policies.pods import PATCHES, PROPERTIES, WORKLOADS, each_container, pods_of
from policies.resource import NotKnown, Resource, Stack, View
from policies.rule import PASS, Check, Finding, Relation, Remediation, Rule, Severity, Verdict, each, fail, found
from policies.rules import links
from policies.show import show
from policies.values import UNKNOWN, Value

DIGEST: Final = re.compile(r"(:[^@]*)?@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")
DEFAULT_REGISTRY: Final = "docker.io"
# An image that was built here and handed to the cluster's nodes lies in no registry. Its name begins like this, nothing can be
# pulled by it, and for a digest it has a tag made of all that goes into it (tools/images/build.py).
LOADED: Final = "localhost"
CONTENT_TAG: Final = re.compile(r":[0-9a-f]{16,64}")
# Whoever may pull from a private registry of AWS was given the right to this very one.
PRIVATE_ECR: Final = re.compile(r"\d{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
# Hosts, or hosts and the beginning of a path, that this repository takes software of others from.
REGISTRIES: Final = ("registry.k8s.io", "public.ecr.aws/eks", "nvcr.io/nvidia")
# What builds an image and says by which digest it was pushed. The property that names its registry, if it is not AWS'.
BUILDS: Final = {"docker-build:index:Image": "", "pulumi-python:dynamic/cluster:Image": "registry"}
REPOSITORY: Final = "aws:ecr/repository:Repository"


@dataclass(frozen=True)
class Reference:
    """``registry.example.com:5000/team/name:tag@sha256:…``"""

    registry: str
    path: str
    rest: str  # tag and digest, as they are written

    @property
    def is_by_content(self) -> bool:
        loaded = self.registry == LOADED and CONTENT_TAG.fullmatch(self.rest)
        return bool(loaded or DIGEST.fullmatch(self.rest))


def reference(image: str) -> Reference:
    """By Docker's grammar: the first part is a registry if it has a dot or a port, or is ``localhost``."""
    first, slash, path = image.partition("/")
    if not slash or not ("." in first or ":" in first or first == LOADED):
        first, path = DEFAULT_REGISTRY, image
    start = min((position for mark in ":@" if (position := path.find(mark)) >= 0), default=len(path))
    return Reference(first, path[:start], path[start:])


def by_digest(_holder: object, container: View) -> Verdict:
    """An image that is not known yet is left to :func:`chosen`, which knows what it was computed from."""
    if container.raw("image") is UNKNOWN:
        return PASS
    image = container.text("image")
    if image is None or reference(image).is_by_content:
        return PASS
    return fail(f"{container.path('image')} is {show(image)}, which names no digest: another image may come by that name")


def _pods_by_digest(resource: Resource) -> Verdict:
    return each_container(resource, by_digest)


def chosen(registries: Iterable[str]) -> Callable[[Stack], Sequence[Finding]]:
    """Every image is from one of ``registries``, or from one that the stack itself pushes to."""
    allowed = tuple(registries)

    def relate(stack: Stack) -> Sequence[Finding]:
        own = tuple(_pushed_to(stack))
        return [
            *(found(resource, partial(_of_pods, resource, (*allowed, *own), stack)) for resource in stack.of_type(*WORKLOADS)),
            *(found(task, partial(_of_task, task, (*allowed, *own), stack)) for task in stack.of_type(TASK_DEFINITION)),
        ]

    return relate


def _pushed_to(stack: Stack) -> Iterable[str]:
    for build, name in BUILDS.items():
        for image in stack.of_type(build) if name else ():
            registry = image.view.raw(name)
            if isinstance(registry, str):
                yield registry


def _of_pods(resource: Resource, allowed: Sequence[str], stack: Stack) -> Verdict:
    containers = [container for pod in pods_of(resource) for container in pod.containers()]
    return _images(stack, resource, PROPERTIES, containers, allowed)


def _of_task(task: Resource, allowed: Sequence[str], stack: Stack) -> Verdict:
    return _images(stack, task, (DEFINITIONS,), containers_in(stack, task), allowed)


def _images(
    stack: Stack, resource: Resource, properties: Sequence[str], containers: Sequence[View], allowed: Sequence[str]
) -> Verdict:
    sources = {urn for name in properties for urn in resource.property_dependencies.get(name, ())}
    built = any(stack.by_urn[urn].type in BUILDS for urn in sources if urn in stack.by_urn)
    return each(*(partial(_from_chosen, container, built, allowed) for container in containers))


def _from_chosen(container: View, built: bool, allowed: Sequence[str]) -> Verdict:
    try:
        image = container.text("image")
    except NotKnown:
        if built:  # by what a build of this stack is going to say: a digest in a registry of its own
            return PASS
        raise
    return PASS if image is None or _is_allowed(reference(image), allowed) else fail(_not_chosen(container, image))


def _not_chosen(container: View, image: str) -> str:
    return f"{container.path('image')} comes from {show(reference(image).registry)}/{show(reference(image).path)}, not chosen"


def _is_allowed(image: Reference, allowed: Sequence[str]) -> bool:
    if image.registry == LOADED or PRIVATE_ECR.fullmatch(image.registry):
        return True
    whole = f"{image.registry}/{image.path}"
    return any(whole.startswith(f"{registry}/") for registry in allowed)


def scanned_on_push(resource: Resource) -> Verdict:
    scanning = resource.view.mapping("imageScanningConfiguration")
    if scanning is not None and scanning.boolean("scanOnPush"):
        return PASS
    return fail("imageScanningConfiguration.scanOnPush is not true: nobody looks for known holes in what is pushed")


def _scanning(_resource: Resource) -> Mapping[tuple[str, ...], Value]:
    return {("imageScanningConfiguration", "scanOnPush"): True}


def _relation(registries: Iterable[str]) -> Relation:
    return Relation(reads={**dict.fromkeys(WORKLOADS, PROPERTIES), TASK_DEFINITION: (DEFINITIONS,)}, judge=chosen(registries))


def _configured(rule: Rule, given: Mapping[str, Any]) -> Rule:
    return replace(rule, relations=(_relation(given["registries"]),)) if "registries" in given else rule


RULES: Final = (
    Rule(
        id="R24",
        name="images-scanned-on-push",
        title="Registries scan an image when it is pushed",
        severity=Severity.HIGH,
        controls=("8.8", "8.19"),
        remedy="set imageScanningConfiguration.scanOnPush to true",
        link=links.IMAGE_SCANNING,
        checks=(Check(types=(REPOSITORY,), properties=("imageScanningConfiguration",), judge=scanned_on_push),),
        remediation=Remediation(types=(REPOSITORY,), propose=_scanning),
    ),
    Rule(
        id="R53",
        name="images-by-digest",
        title="Images are named by their digest and come from registries that were chosen",
        severity=Severity.HIGH,
        controls=("8.19", "8.9"),
        remedy="name the image by @sha256:…; a registry is chosen in the rule's configuration (registries)",
        link=links.IMAGES,
        checks=(
            Check(types=(*WORKLOADS, *PATCHES), properties=PROPERTIES, judge=_pods_by_digest),
            Check(types=(TASK_DEFINITION,), properties=(DEFINITIONS,), judge=known_containers(by_digest)),
        ),
        relations=(_relation(REGISTRIES),),
        schema={
            "registries": {
                "type": "array",
                "items": {"type": "string"},
                "description": "hosts, or hosts and the beginning of a path, besides private ECR and what the stack pushes to",
                "default": list(REGISTRIES),
            }
        },
        configure=_configured,
    ),
)
