"""What must be there before the engine changes a cluster, asked first, so that a refusal has changed nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from pathlib import Path

from tools.pulumi import plugins
from tools.pulumi.errors import InstallError
from tools.stack.cluster import Cluster, find, is_cluster, own_cluster
from tools.stack.engine import Engine, EngineError

# What these commands keep of a cluster's stack, in its state directory.
RECORD = "cluster.json"
AUTHORITY = "ca.pem"  # for curl
# The real plugin's own switch for a cluster that is gone for good.
DELETE_UNREACHABLE = "PULUMI_K8S_DELETE_UNREACHABLE"


def ready(engine: Engine, action: str, *, reachable: bool = True) -> Engine:
    """``engine`` with the environment that its target needs, after saying which cluster ``action`` is about.

    ``reachable``: refuse where the cluster does not answer, rather than say so. Raises :class:`EngineError`.
    """
    if not is_cluster(engine):
        return engine
    cluster = find(engine)
    try:
        plugins.ensure("kubernetes", cluster.environment, lambda line: print(line, file=sys.stderr, flush=True))
    except InstallError as error:
        raise EngineError(str(error)) from None
    if (chosen := cluster.environment.get("KUBECONFIG")) != engine.environment.get("KUBECONFIG"):
        print(f"The cluster of `make cluster`: KUBECONFIG={chosen}", flush=True)
    if moved := elsewhere(record_of(engine), cluster, engine):
        raise EngineError(moved)
    if problem := cluster.problem():
        message = unreachable(cluster, problem, own_cluster(engine.checkout) is not None)
        if reachable and engine.environment.get(DELETE_UNREACHABLE, "").lower() != "true":
            raise EngineError(message)
        print(message, file=sys.stderr, flush=True)
    print(f"{action}: {cluster}", flush=True)
    return dataclasses.replace(engine, environment=cluster.environment)


def unreachable(cluster: Cluster, problem: str, own: bool) -> str:
    start = "Start the one of this machine again: make cluster" if own else "A cluster on this machine: make cluster"
    return (
        f"The cluster of context {cluster.context} ({cluster.server}) does not answer: {problem}. Nothing was changed.\n"
        f"Is it running, and are you in its network? {start}. Another of yours: kubectl config use-context <name>"
    )


def record_of(engine: Engine) -> Path:
    """Where the last `up` went: a kube-context is switched in another window, and a stack must not follow it there."""
    return engine.state_directory() / RECORD


def remember(engine: Engine) -> None:
    if not is_cluster(engine):
        return
    cluster, record = find(engine), record_of(engine)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"context": cluster.context, "server": cluster.server}) + "\n", encoding="utf-8")


def forget(engine: Engine) -> None:
    """Remove what these commands keep of a cluster's stack, and no other file: the folder may be somebody's."""
    if not is_cluster(engine):
        return
    for name in (RECORD, AUTHORITY):
        (engine.state_directory() / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        engine.state_directory().rmdir()


def elsewhere(record: Path, cluster: Cluster, engine: Engine) -> str | None:
    """Why this is not the cluster that the stack is in, or None."""
    if not record.exists():
        return None
    before = json.loads(record.read_text(encoding="utf-8"))
    if before["server"] == cluster.server:
        return None
    return (
        f"The stack {engine.stack} is in another cluster: context {before['context']} at {before['server']}. The context that "
        f"is chosen now is {cluster.context} at {cluster.server}. Nothing was changed.\n"
        f"Stay there: kubectl config use-context {before['context']}, or bind the stack to it: "
        f"make set{engine.make_option} KEY=cluster.context VALUE={before['context']}\n"
        f"Move: make down{engine.make_option} there first. If only the address is another, remove {record}"
    )
