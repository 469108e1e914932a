"""A cluster by kind, where a Docker engine runs; and one that somebody else made, taken by its context."""

from __future__ import annotations

import shutil
from pathlib import Path

from tools.cache import Report
from tools.kubernetes.address import CONTEXT
from tools.kubernetes.cluster import KIND_NAME, Cluster, kind_of, save
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.layout import Layout
from tools.kubernetes.processes import run


def up(layout: Layout, report: Report) -> Cluster:
    """`kind create cluster`, unless it stands; its context gets the name that a cluster of our own has."""
    kubectl = _kubectl()
    if KIND_NAME not in run(["kind", "get", "clusters"]).stdout.split():
        layout.root.mkdir(parents=True, exist_ok=True)
        _must(["kind", "create", "cluster", "--name", KIND_NAME, "--kubeconfig", str(layout.kubeconfig), "--wait", "120s"])
        report(f"kind made the cluster {KIND_NAME}")
    else:
        _must(["kind", "export", "kubeconfig", "--name", KIND_NAME, "--kubeconfig", str(layout.kubeconfig)])
    configuration = [str(kubectl), "--kubeconfig", str(layout.kubeconfig), "config"]
    run([*configuration, "delete-context", CONTEXT])  # of an earlier time
    _must([*configuration, "rename-context", f"kind-{KIND_NAME}", CONTEXT])
    layout.kubeconfig.chmod(0o600)
    cluster = Cluster(kind="kind", context=CONTEXT, kubeconfig=layout.kubeconfig, kubectl=kubectl, made=True, layout=layout)
    save(cluster)
    return cluster


def down(report: Report) -> None:
    _must(["kind", "delete", "cluster", "--name", KIND_NAME])
    report(f"kind removed the cluster {KIND_NAME}")


def take(layout: Layout, context: str, report: Report) -> Cluster:
    """A cluster that is there: noted, and nothing else. Raises `ClusterError` if it does not answer."""
    cluster = Cluster(kind=kind_of(context), context=context, kubeconfig=None, kubectl=_kubectl(), made=False, layout=layout)
    version = cluster.run("version", "--request-timeout=10s")
    save(cluster)
    server = next((line for line in version.splitlines() if line.startswith("Server Version")), "")
    report(f"it answers ({server})" if server else "it answers")
    return cluster


def _kubectl() -> Path:
    found = shutil.which("kubectl")
    if found is None:
        raise ClusterError("kubectl is not on PATH, and the cluster is reached by it: https://kubernetes.io/docs/tasks/tools")
    return Path(found)


def _must(command: list[str]) -> None:
    done = run(command)
    if done.returncode:
        raise ClusterError(f"`{' '.join(command[:3])}` failed: {(done.stderr or done.stdout).strip()}")
