"""A cluster that is there, whoever made it: how to reach it, and how to hand it an image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tools.cache import Report
from tools.kubernetes import golang_build, packages, programs
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.layout import CHECKOUT, Layout
from tools.kubernetes.processes import run

Kind = Literal["own", "own-api", "kind", "minikube", "other"]
"""Ours with a node, ours without one, kind's, minikube's, or any other that a context names."""
KIND_NAME = "assistant"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """`kubeconfig`: None means the one that kubectl finds by itself. `made`: `up` made it, so `down` removes it."""

    kind: Kind
    context: str
    kubeconfig: Path | None
    kubectl: Path
    made: bool
    layout: Layout

    def arguments(self) -> list[str]:
        where = ["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []
        return [str(self.kubectl), *where, "--context", self.context, "--cache-dir", str(self.layout.kubectl_cache)]

    def try_run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """kubectl with `arguments`; the caller judges the exit status."""
        return subprocess.run([*self.arguments(), *arguments], input=stdin, capture_output=True, text=True, check=False)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl's standard output. Raises `ClusterError` with its complaint."""
        done = self.try_run(*arguments, stdin=stdin)
        if done.returncode:
            raise ClusterError(f"kubectl {' '.join(arguments[:4])} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … --output=json`, parsed."""
        answer: dict[str, Any] = json.loads(self.run("get", *arguments, "--output=json"))
        return answer

    def apply(self, objects: Sequence[Mapping[str, Any]] | str) -> str:
        """Server-side apply; `objects` are manifests, or YAML text."""
        text = objects if isinstance(objects, str) else json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        return self.run("apply", "--server-side", "--force-conflicts", "--field-manager=assistant-tools", "-f", "-", stdin=text)

    def load(self, archive: Path, report: Report = print) -> None:
        load_into(self, archive, report)


def save(cluster: Cluster) -> None:
    content = {
        name: str(value) if isinstance(value, Path) else value for name, value in asdict(cluster).items() if name != "layout"
    }
    cluster.layout.root.mkdir(parents=True, exist_ok=True)
    cluster.layout.record.write_text(json.dumps(content, indent=1), encoding="utf-8")


def current(checkout: Path = CHECKOUT) -> Cluster | None:
    """The cluster that `up` last chose or made; it may have died since."""
    layout = Layout.of(checkout)
    if not layout.record.exists():
        return None
    content = json.loads(layout.record.read_text(encoding="utf-8"))
    kubeconfig = content.pop("kubeconfig")
    kubectl = Path(content.pop("kubectl"))
    return Cluster(**content, kubeconfig=Path(kubeconfig) if kubeconfig else None, kubectl=kubectl, layout=layout)


def require(checkout: Path = CHECKOUT) -> Cluster:
    cluster = current(checkout)
    if cluster is None:
        raise ClusterError(
            "no cluster was chosen yet: `make cluster` brings one up, or takes the one your kube-context points at."
        )
    return cluster


def load(archive: Path, checkout: Path = CHECKOUT, report: Report = print) -> None:
    """Hand an image archive (docker-archive or OCI) to the nodes of the current cluster. Raises `ClusterError`."""
    require(checkout).load(archive, report)


def load_command(cluster: Cluster, archive: Path) -> list[str]:
    """What hands `archive` over. Raises `ClusterError` for a cluster whose nodes are out of reach."""
    match cluster.kind:
        case "own":
            return [
                "ctr",
                "--address",
                str(cluster.layout.containerd_socket),
                "--namespace",
                "k8s.io",
                "images",
                "import",
                str(archive),
            ]
        case "kind":
            return ["kind", "load", "image-archive", str(archive), "--name", cluster.context.removeprefix("kind-")]
        case "minikube":
            return ["minikube", "image", "load", str(archive), "--profile", cluster.context]
        case "own-api":
            raise ClusterError("this cluster is an API server alone: no node runs, so no image can be loaded.")
        case _:
            raise ClusterError(
                f"the nodes of context '{cluster.context}' take images from a registry only: set images.registry to one that "
                "they reach and push there, or name published images by digest."
            )


def load_into(cluster: Cluster, archive: Path, report: Report) -> None:
    if not archive.is_file():
        raise ClusterError(f"{archive} is no file; `python -m tools.images build` makes image archives.")
    command = load_command(cluster, archive)
    path = packages.search_path(os.environ)
    if shutil.which(command[0], path=path) is None:
        raise ClusterError(f"{command[0]} is not on PATH, and images reach this cluster only through it.")
    done = run(command, environ={**os.environ, "PATH": path})
    if done.returncode:
        raise ClusterError(f"`{' '.join(command[:2])}` could not load {archive}: {(done.stderr or done.stdout).strip()}")
    report(f"loaded {archive.name} into {cluster.context}")


def kind_of(context: str) -> Kind:
    """What a context that we did not make is, by the name that kind and minikube give theirs."""
    if context.startswith("kind-"):
        return "kind"
    return "minikube" if context == "minikube" else "other"


def client_minor(version: str) -> int | None:
    """The minor version in `kubectl version --client --output=json`, whatever is appended to it ('32+')."""
    try:
        digits = json.loads(version)["clientVersion"]["minor"].rstrip("+")
        return int(digits)
    except (ValueError, KeyError, TypeError):
        return None


def find_kubectl(report: Report, environ: Mapping[str, str] | None = None) -> Path:
    """The one on PATH if it is at most one minor version from the server's (Kubernetes' skew policy); else our own."""
    environ = os.environ if environ is None else environ
    found = shutil.which("kubectl", path=environ.get("PATH"))
    if found:
        done = subprocess.run(
            [found, "version", "--client", "--output=json"], env=dict(environ), capture_output=True, text=True, check=False
        )
        minor = client_minor(done.stdout)
        wanted = int(programs.KUBERNETES_VERSION.split(".")[1])
        if minor is not None and abs(minor - wanted) <= 1:
            return Path(found)
        report(f"{found} is version 1.{minor or '?'}, too far from {programs.KUBERNETES_VERSION}")
    return golang_build.binaries(programs.kubectl(), report, environ)["kubectl"]
