"""``make audit-verify``: the records that a stack keeps, held against the heads in its Redis.

On this machine they are files. In a cluster they are lines of the pods' logs, of which kubectl has those of the pods that are
there; on AWS they are in CloudWatch Logs, which docs/audit.md tells how to export.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infra.local.layout import AUDIT, Layout
from infra.settings import ON_AWS
from tools.stack.assistant import AssistantError
from tools.stack.cluster import PODS, Cluster, find, is_cluster, last_line
from tools.stack.engine import Engine

VERIFY: Final = (sys.executable, "-m", "app.telemetry.audit", "verify")
HEADS: Final = ("exec", "deployment/worker", "--", "python", "-m", "app.telemetry.audit", "heads")
ALL_LOGS: Final = ("logs", f"--selector={PODS}", "--all-containers", "--ignore-errors", "--tail=-1")


def verify(engine: Engine) -> int:
    """Its exit status: 0 whole, 1 flawed, 2 it could not be read. Raises :class:`AssistantError`."""
    if engine.target() in ON_AWS:
        raise AssistantError(
            "On AWS the records are in CloudWatch Logs. Export them and verify the files: docs/audit.md says how "
            "(python -m app.telemetry.audit verify exported.log --heads heads.json)"
        )
    return of_pods(find(engine)) if is_cluster(engine) else of_files(engine)


def of_files(engine: Engine) -> int:
    layout = Layout(engine.state_directory())
    environment = dict(engine.environment) | {
        "REDIS_URL": f"redis://127.0.0.1:{engine.settings().ports.redis}/0",
        "REDIS_PASSWORD_FILE": str(layout.secrets / "redis_password"),
        "REDIS_TIMEOUT_SECONDS": "5",
    }
    return _run(
        [*VERIFY, *sources(engine.checkout / AUDIT / engine.stack, layout, engine.make_option), "--heads", "redis"],
        engine.checkout,
        environment,
    )


def sources(folder: Path, layout: Layout, make_option: str) -> list[str]:
    """What holds the records: ``folder``, which outlives the stack, else its processes' logs. Those are cut at their beginning
    as they grow, so that chains may begin anywhere in them."""
    if folder.is_dir():
        return ["--directory", str(folder)]
    logs = sorted(map(str, layout.logs.glob("*.log")))
    if not logs:
        raise AssistantError(f"No records in {folder}. Is the stack up? Bring it up with: make up{make_option}")
    return ["--partial", *logs]


def of_pods(cluster: Cluster) -> int:
    heads = cluster.kubectl(*HEADS)  # before the records: those that come meanwhile are then beyond the heads
    if heads.returncode:
        raise AssistantError(f"The heads cannot be read from a worker of {cluster}: {last_line(heads.stderr)}")
    with tempfile.TemporaryDirectory(prefix="assistant-audit-") as folder:
        file = Path(folder) / "heads.json"
        file.write_text(heads.stdout, encoding="utf-8")
        reading = subprocess.Popen(cluster.command(*ALL_LOGS), env=dict(cluster.environment), stdout=subprocess.PIPE)
        with reading:
            command = [*VERIFY, "-", "--partial", "--heads", str(file)]
            status = subprocess.run(command, stdin=reading.stdout, check=False).returncode
    if reading.returncode:
        raise AssistantError(f"The logs of the pods of {cluster} could not be read to their end; kubectl has said why")
    return status


def _run(command: list[str], checkout: Path, environment: Mapping[str, str]) -> int:
    return subprocess.run(command, cwd=checkout, env=dict(environment), check=False).returncode
