"""``kubectl`` in one namespace of the cluster of ``make cluster``, and pods made by hand there."""

from __future__ import annotations

import copy
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KUBECONFIG = Path(".state") / "kubernetes" / "kubeconfig"  # of `make cluster`, below the checkout


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    namespace: str
    kubeconfig: Path
    environment: Mapping[str, str]

    def __call__(self, *arguments: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """With ``check``, a failure is the test's."""
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *arguments]
        done = subprocess.run(
            command, env=dict(self.environment), input=stdin, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0 or not check, f"{' '.join(arguments)}: {done.stderr}"
        return done

    def get(self, *arguments: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self("get", *arguments, "--output=json").stdout)
        return document

    def create(self, document: Mapping[str, Any], *arguments: str) -> None:
        self("create", "--filename=-", *arguments, stdin=json.dumps(document))


def bare_pod(
    name: str, template: dict[str, Any], command: list[str] | None, labels: dict[str, str] | None = None
) -> dict[str, Any]:
    """A bare pod like those of a Deployment; with ``command``, one container that needs none of its volumes."""
    spec = copy.deepcopy(template)
    spec["restartPolicy"] = "Never"
    if command is not None:
        container = spec["containers"][0]
        for field in ("volumeMounts", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "args"):
            container.pop(field, None)
        container["command"] = command
        for field in ("volumes", "initContainers", "serviceAccountName", "serviceAccount", "priorityClassName", "priority"):
            spec.pop(field, None)
        spec["terminationGracePeriodSeconds"] = 1
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}}, "spec": spec}


def wait_until(condition: Callable[[], bool], seconds: float, every: float = 0.5) -> float:
    """Seconds until ``condition`` held. Fails the test when it does not in time."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"not within {seconds} s"
        time.sleep(every)
    return time.monotonic() - start
