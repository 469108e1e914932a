"""Changes to the manifests of others, each as small as it can be. Pure: an object in, a changed copy out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tools.kubernetes.addons.sources import Manifest

# One machine runs all of it beside what is tested; what an addon really needs here is far less than upstream asks for.
REQUESTS = {"cpu": "20m", "memory": "64Mi"}
PROBE_SECONDS = 1


def find(objects: Sequence[Manifest], kind: str, name: str) -> Manifest:
    return next(each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name)


def replaced(objects: Sequence[Manifest], kind: str, change: Callable[[Manifest], Manifest]) -> list[Manifest]:
    """`objects`, those of a kind changed."""
    return [change(copy.deepcopy(each)) if each["kind"] == kind else each for each in objects]


def with_authority(service: Manifest, bundle: str) -> Manifest:
    """An APIService whose server is checked; upstream skips the check or has its operator fill the bundle in."""
    spec = {key: value for key, value in service["spec"].items() if key != "insecureSkipTLSVerify"}
    return {**service, "spec": {**spec, "caBundle": bundle}}


def with_program(
    deployment: Manifest, image: str, arguments: Sequence[str], annotations: Mapping[str, str] | None = None
) -> Manifest:
    """Run the only container from `image` by its own entry point; ask for little, and look for readiness at once."""
    result = copy.deepcopy(deployment)
    template: dict[str, Any] = result["spec"]["template"]
    (container,) = template["spec"]["containers"]
    container.pop("command", None)
    resources = container.get("resources", {})
    container |= {
        "image": image,
        "imagePullPolicy": "Never",  # it was handed to the node; no registry has it
        "args": list(arguments),
        "resources": {**resources, "requests": REQUESTS},
    }
    container["readinessProbe"] = {
        **container["readinessProbe"],
        "initialDelaySeconds": 0,
        "periodSeconds": PROBE_SECONDS,
        "failureThreshold": 3,
    }
    if annotations:
        metadata = template.setdefault("metadata", {})
        metadata["annotations"] = {**metadata.get("annotations", {}), **annotations}
    return result
