"""`up`, `down` and `status`, whichever cluster it is."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tools.cache import Report
from tools.kubernetes import access, cluster, host, kind, own, state, teardown
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.host import Tier
from tools.kubernetes.layout import CHECKOUT, Layout


@contextlib.contextmanager
def alone(folder: Path, report: Report) -> Iterator[None]:
    """Hold `folder` against another `up` or `down` of this checkout. The lock is the folder's own: no file is left behind."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another `up` or `down` of this checkout")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def up(
    report: Report,
    *,
    context: str | None = None,
    tier: Tier | None = None,
    addons: bool | None = None,
    checkout: Path = CHECKOUT,
) -> Cluster:
    """Take or make a cluster. Raises `ClusterError`. `addons`: None means where the cluster is ours to fill."""
    layout = Layout.of(checkout)
    with alone(layout.root.parent, report):
        standing = cluster.current(checkout)
        if standing and standing.made:
            chosen = _mend(standing, context, tier, report)
        else:
            chosen = _choose(layout, context, tier, report)
        if chosen.made if addons is None else addons:
            from tools.kubernetes import addons as installer  # late: `status` and `load` need none of it

            installer.install(chosen, report)
    report(_how_to_use(chosen))
    return chosen


def _mend(standing: Cluster, context: str | None, tier: Tier | None, report: Report) -> Cluster:
    """A cluster that `up` made stays the one until `down`."""
    was: Tier = "api" if standing.kind == "own-api" else "node"
    if context not in (None, standing.context) or (tier and tier != was):
        raise ClusterError("another cluster stands, made by `up` before: `make cluster-down` removes it, then try again.")
    if standing.kind not in ("own", "own-api"):
        return kind.up(standing.layout, report)
    if state.whole(standing):
        report("the cluster is up already")
        return standing
    return own.Bringing(standing.layout, was, os.environ, report).up()


def _choose(layout: Layout, context: str | None, tier: Tier | None, report: Report) -> Cluster:
    way, name, reason = access.choose(access.look_around(os.environ), context, tier)
    if way == "context":
        report(f"taking the cluster of context '{name}': {reason}; nothing is started")
        return kind.take(layout, name, report)
    if way == "kind":
        report(f"making a cluster by kind: {reason}")
        return kind.up(layout, report)
    chosen, why = host.choose_tier(host.measure(), tier)
    missing = host.missing_for_node(host.measure())
    if chosen == "node" and missing:
        raise ClusterError(f"pods cannot run here: {', '.join(missing)}. `up --tier api` brings up an API server alone.")
    what = (
        "a whole Kubernetes with one node"
        if chosen == "node"
        else "an API server, scheduler and controllers, BUT NO NODE: no pod runs"
    )
    report(f"{reason}; making {what} ({why})")
    return own.Bringing(layout, chosen, os.environ, report).up()


def down(report: Report, checkout: Path = CHECKOUT) -> bool:
    """Remove what `up` made; whether nothing is left of it."""
    layout = Layout.of(checkout)
    with alone(layout.root.parent, report):
        standing = cluster.current(checkout)
        if standing and not standing.made:
            report(f"the cluster of context '{standing.context}' was not made by `up`, and stays")
            teardown.forget(layout)
            return True
        if standing and standing.kind == "kind":
            kind.down(report)
            teardown.forget(layout)
            return True
        if not layout.root.exists():
            report("there is no cluster to remove")
            return True
        left = teardown.own(layout, report)
    for line in left:
        report(f"still there: {line}")
    report("the cluster is gone, and this machine is as it was" if not left else "the cluster is gone, but see above")
    return not left


def status(report: Report, checkout: Path = CHECKOUT) -> bool:
    """Say what stands; whether all of it does."""
    standing = cluster.current(checkout)
    if standing is None:
        report("no cluster; `make cluster` brings one up")
        return False
    for line in state.describe(standing):
        report(line)
    return state.whole(standing)


def _how_to_use(chosen: Cluster) -> str:
    where = f"export KUBECONFIG={chosen.kubeconfig}" if chosen.kubeconfig else f"kubectl --context {chosen.context}"
    return f"use it: {where}"
