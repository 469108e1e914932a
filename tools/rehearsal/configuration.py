"""What a rehearsal sets otherwise than the stack: a machine of two cores is neither a region nor a team's cluster. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.profiles import merged
from tools.rehearsal.addresses import API_URL, NETWORK

PREFIX = "assistant:"
# Room for all of it on two cores; cpuLimit lets whoever has work take what is idle.
RESOURCES = {
    "gateway": {"cpu": "50m", "cpuLimit": "1", "memory": "256Mi"},
    "worker": {"cpu": "50m", "cpuLimit": "1", "memory": "256Mi"},
    "inference": {"cpu": "300m", "cpuLimit": "2", "memory": "1Gi"},
    "model": {"cpu": "300m", "cpuLimit": "2", "memory": "3Gi"},
}
AUTOSCALING = {
    "gateway": {"minimum": 2, "maximum": 3, "target": 90},
    "worker": {"minimum": 1, "maximum": 2, "target": 20},
    "inference": {"minimum": 1, "maximum": 2, "target": 50},
    "keda": False,
}
EMAIL = "oncall@example.com"


def overrides(stack: str, *, platform_url: str, authorities: Path) -> dict[str, Any]:
    """By group, as they are written into the stack's file."""
    return {
        "aws": {"endpointUrl": API_URL},
        "network": {"cidr": NETWORK},
        "cluster": {"namespace": namespace(stack), "certificateAuthorities": str(authorities)},
        "platforms": {"generic": {"url": platform_url}},
        "notifications": {"emails": [EMAIL]},
        "resources": RESOURCES,
        "autoscaling": AUTOSCALING,
        "storage": {"modelSize": "2Gi"},
        "inference": {"device": "cpu", "threads": 2, "slots": 4},
    }


# Why each, for the report.
REASONS: Mapping[str, str] = {
    "aws": "pods and tools call the emulator of AWS' APIs",
    "network": "the VPC is the network that this machine's pods are in",
    "cluster": "a namespace of the rehearsal's own; the queue's certificate is signed by its authority",
    "platforms": "the platform that sends and is answered is the tests'",
    "notifications": "an address that is nobody's",
    "resources": "one machine of two cores",
    "autoscaling": "one machine of two cores",
    "storage": "one machine's disk",
    "inference": "no GPU here, and two cores",
    "model": "the bundled model, which no hub is needed for",
}


def namespace(stack: str) -> str:
    return f"assistant-rehearsal-{stack}"


def document(given: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A stack's file, from the user's own or the example, with ``over`` on top and the bundled model."""
    config = {key: value for key, value in (given.get("config") or {}).items() if key != f"{PREFIX}model"}
    flat = {key: value for key, value in config.items() if not key.startswith(PREFIX)}
    nested = {key.removeprefix(PREFIX): value for key, value in config.items() if key.startswith(PREFIX)}
    return {"config": {**flat, **{f"{PREFIX}{key}": value for key, value in merged(nested, over).items()}}}


def changed(given: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``given``, a stack's file, with further settings; what the engine has written into it stays."""
    head = {key: value for key, value in given.items() if key != "config"}
    return {**head, **document(given, over)}


def flattened(over: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """``group.key`` -> value, in the words of ``make set``."""
    found: dict[str, str] = {}
    for key, value in over.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            found.update(flattened(value, f"{name}."))
        else:
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found
