"""kubectl for what no Pulumi resource is: waiting with words, and leaving a cluster in order.

The kubeconfig comes as text, an output of the stack, and lies in a private temporary file for as long as it is used.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.errors import DeploymentError

REQUEST_SECONDS = 15  # of one answer of the API server
RUN_SECONDS = 60  # of the whole program, which signs in first
UNKNOWN_KIND = "the server doesn't have a resource type"  # what kubectl says of a definition that is not installed


class KubectlError(DeploymentError):
    """kubectl's own complaint, or that it did not answer."""


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    program: str
    kubeconfig: Path

    def run(self, *arguments: str) -> str:
        """Standard output. Raises :class:`KubectlError`."""
        command = [
            self.program,
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.kubeconfig.parent / 'cache'}",
            f"--request-timeout={REQUEST_SECONDS}s",
            *arguments,
        ]
        # The passphrase of the stack is nobody else's business.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=RUN_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise KubectlError(f"kubectl {' '.join(arguments[:3])} did not answer within {RUN_SECONDS} s") from None
        except OSError as error:
            raise KubectlError(f"{self.program} does not start: {error}") from None
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise KubectlError(f"kubectl {' '.join(arguments[:3])}: {said[-1] if said else f'exit status {done.returncode}'}")
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """One object or a list of them; empty where the one is not there."""
        answer = self.run("get", *arguments, "--ignore-not-found", "--output=json")
        return dict(json.loads(answer)) if answer.strip() else {}

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """Of a list; none where the cluster does not know the kind."""
        try:
            return list(self.get(*arguments).get("items", []))
        except KubectlError as error:
            if UNKNOWN_KIND in str(error):
                return []
            raise


@contextmanager
def kubectl(kubeconfig: str) -> Iterator[Kubectl]:
    """For the cluster that the text describes. Raises :class:`KubectlError` where there is no kubectl on PATH."""
    program = shutil.which("kubectl")
    if program is None:
        raise KubectlError("kubectl is not on PATH; kubernetes.io/docs/tasks/tools says how to install it")
    with tempfile.TemporaryDirectory(prefix="assistant-kubectl-") as folder:  # 0700
        file = Path(folder) / "kubeconfig"
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as opened:
            opened.write(kubeconfig)
        yield Kubectl(program=program, kubeconfig=file)
