"""The cluster that a stack goes to: which kube-context, where it is, whether it answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

import tools.kubernetes.cluster
from infra.kubernetes.names import APPLICATION
from infra.settings import Settings
from tools.stack.engine import Engine, EngineError

REACH_SECONDS = 3
LOGIN_SECONDS = 60  # a browser or a second factor
PODS = f"app.kubernetes.io/part-of={APPLICATION}"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One context of the user's kubeconfig. ``environment`` is what kubectl and the engine see it with."""

    context: str
    server: str
    namespace: str
    environment: Mapping[str, str]
    logs_in: str | None = None  # the program that fetches the credentials, which may ask a person
    make_option: str = ""  # what a `make` command needs besides, to mean this stack

    def command(self, *arguments: str) -> list[str]:
        """``kubectl`` in this context and the stack's namespace."""
        return ["kubectl", f"--context={self.context}", f"--namespace={self.namespace}", *arguments]

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), env=dict(self.environment), capture_output=True, text=True, check=False)

    def read(self, *arguments: str) -> dict[str, Any]:
        """``kubectl get`` as a document. Raises :class:`EngineError` in kubectl's own words."""
        done = self.kubectl("get", *arguments, "--output=json")
        if done.returncode:
            raise EngineError(f"kubectl get {arguments[0]} (context {self.context}): {done.stderr.strip()}")
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def problem(self) -> str | None:
        """Why it does not answer, or None. It has three seconds for that; a context's login program has its own time before."""
        command = ["kubectl", f"--context={self.context}", f"--request-timeout={REACH_SECONDS}s", "get", "--raw", "/version"]
        patience = REACH_SECONDS + 1 + (LOGIN_SECONDS if self.logs_in else 0)
        try:
            done = subprocess.run(
                command, env=dict(self.environment), capture_output=True, text=True, timeout=patience, check=False
            )
        except subprocess.TimeoutExpired:
            if self.logs_in:
                return f"no answer within {patience} s, the login by {self.logs_in} included"
            return f"no answer within {REACH_SECONDS} s"
        return last_line(done.stderr) if done.returncode else None

    def __str__(self) -> str:
        return f"context {self.context}, {self.server}, namespace {self.namespace}"


def environment_for(checkout: Path, settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` with the kubeconfig and the kubectl of ``make cluster``, where the user has none of their own."""
    made = own_cluster(checkout)
    result = dict(environment)
    if made is None:
        return result
    if shutil.which("kubectl", path=environment.get("PATH", os.defpath)) is None:
        result["PATH"] = os.pathsep.join([environment.get("PATH", os.defpath), str(made.kubectl.parent)])
    if environment.get("KUBECONFIG") or made.kubeconfig is None or not made.kubeconfig.exists():
        return result
    document = yaml.safe_load(made.kubeconfig.read_text(encoding="utf-8"))
    wanted = settings.cluster.context
    if wanted and wanted not in [entry["name"] for entry in document.get("contexts") or []]:
        return result
    return result | {"KUBECONFIG": str(made.kubeconfig)} | _without_proxy(document, environment)


def own_cluster(checkout: Path) -> tools.kubernetes.cluster.Cluster | None:
    """The one that ``make cluster`` has made here and ``make cluster-down`` has not removed."""
    chosen = tools.kubernetes.cluster.current(checkout)
    return chosen if chosen and chosen.made else None


def find(engine: Engine) -> Cluster:
    """The cluster that the stack's settings lead to. Raises :class:`EngineError` where kubectl or a context is missing."""
    settings = engine.settings()
    environment = environment_for(engine.checkout, settings, engine.environment)
    if shutil.which("kubectl", path=environment.get("PATH", os.defpath)) is None:
        raise EngineError(
            "kubectl is not on PATH, and a cluster's stack needs it. Install it (https://kubernetes.io/docs/tasks/tools), "
            "or make a cluster on this machine, kubectl included: make cluster"
        )
    view = ["kubectl", "config", "view", "--minify", "--output=json"]
    if settings.cluster.context:
        view.append(f"--context={settings.cluster.context}")
    done = subprocess.run(view, env=environment, capture_output=True, text=True, check=False)
    document = json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else {}
    if not document.get("contexts") or not document.get("clusters"):
        raise EngineError(_no_context(settings.cluster.context, environment, engine.make_option))
    return Cluster(
        context=document["contexts"][0]["name"],
        server=document["clusters"][0]["cluster"]["server"],
        namespace=settings.cluster.namespace,
        environment=environment,
        make_option=engine.make_option,
        logs_in=_login_program(document),
    )


def _login_program(document: Mapping[str, Any]) -> str | None:
    """Of a kubeconfig that holds one context: ``aws``, ``kubelogin`` … or None where it has a certificate or a token."""
    users = document.get("users") or []
    program = ((users[0].get("user") or {}).get("exec") or {}).get("command") if users else None
    return str(program) if program else None


def is_cluster(engine: Engine) -> bool:
    return engine.target() == "cluster"


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "kubectl failed and said nothing"


def _no_context(wanted: str | None, environment: Mapping[str, str], option: str) -> str:
    place = environment.get("KUBECONFIG") or "~/.kube/config"
    listing = ["kubectl", "config", "get-contexts", "--output=name"]
    known = subprocess.run(listing, env=dict(environment), capture_output=True, text=True, check=False).stdout.split()
    what = f"names no context {wanted}" if wanted else "has no current context"
    choice = f"It has: {', '.join(known)}. Choose one: " if known else "It has none at all. For a cluster that you have: "
    return (
        f"The kubeconfig {place} {what}. {choice}kubectl config use-context <name>, or for this stack alone: "
        f"make set{option} KEY=cluster.context VALUE=<name>. A cluster on this machine, from nothing: make cluster"
    )


def _without_proxy(document: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """A proxy reaches no bridge of this machine."""
    hosts = [urlsplit(entry["cluster"]["server"]).hostname or "" for entry in document.get("clusters") or []]
    given = [host for host in (environment.get("no_proxy") or environment.get("NO_PROXY") or "").split(",") if host]
    exempt = ",".join(dict.fromkeys([*given, *hosts]))
    return {"no_proxy": exempt, "NO_PROXY": exempt}
