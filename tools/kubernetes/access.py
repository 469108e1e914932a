"""Which cluster `up` takes: one that a kube-context names, kind's where a Docker engine runs, or one of our own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tools.kubernetes.address import CONTEXT, HOST_ADDRESS
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.host import Tier
from tools.kubernetes.processes import run

Way = Literal["context", "kind", "own"]
REACH_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What there is to choose from. `reachable`: the current context's API server answers."""

    contexts: tuple[str, ...]
    current: str
    reachable: bool
    kind: bool
    """The program kind is there, and so is a Docker engine that runs."""


def choose(there: Surroundings, context: str | None, tier: Tier | None) -> tuple[Way, str, str]:
    """The way, the context (for the first way) and the reason. Raises `ClusterError` for a context that does not exist."""
    if context is not None:
        if context not in there.contexts:
            known = ", ".join(sorted(there.contexts)) or "none"
            raise ClusterError(f"there is no kube-context '{context}'; `kubectl config get-contexts` names: {known}")
        return "context", context, "asked for by --context"
    if tier is not None:
        return "own", "", f"asked for by --tier {tier}"
    if there.current and there.reachable:
        return "context", there.current, "kubectl's current context answers"
    if there.kind:
        return "kind", "", "kind is installed and Docker runs"
    silent = f"kubectl's current context '{there.current}' does not answer" if there.current else "no kube-context is chosen"
    return "own", "", f"{silent}, and there is no kind with a Docker engine"


def look_around(environ: Mapping[str, str]) -> Surroundings:
    """Ask kubectl (if there is one), kind and Docker; nothing is changed."""
    configuration = _kubectl_configuration(environ)
    current = str(configuration.get("current-context") or "")
    servers = {cluster["name"]: cluster["cluster"].get("server", "") for cluster in configuration.get("clusters") or []}
    contexts = {
        context["name"]: servers.get(context["context"].get("cluster"), "") for context in configuration.get("contexts") or []
    }
    # Our own, by way of KUBECONFIG: not somebody's to be taken over, but ours to bring up.
    foreign = {name: server for name, server in contexts.items() if not (name == CONTEXT and HOST_ADDRESS in server)}
    return Surroundings(
        contexts=tuple(foreign),
        current=current if current in foreign else "",
        reachable=current in foreign and answers(current, environ),
        kind=_works(["kind", "version"], environ) and _works(["docker", "info"], environ),
    )


def answers(context: str, environ: Mapping[str, str]) -> bool:
    return _works(["kubectl", "--context", context, f"--request-timeout={REACH_SECONDS}s", "get", "--raw=/version"], environ)


def _kubectl_configuration(environ: Mapping[str, str]) -> dict[str, Any]:
    if shutil.which("kubectl", path=environ.get("PATH")) is None:
        return {}
    done = run(["kubectl", "config", "view", "--output=json"], environ=environ)
    content: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return content


def _works(command: list[str], environ: Mapping[str, str]) -> bool:
    return shutil.which(command[0], path=environ.get("PATH")) is not None and run(command, environ=environ).returncode == 0
