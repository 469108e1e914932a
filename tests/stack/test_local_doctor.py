"""``make doctor`` on a stack that is well finds nothing, and names the process that is not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import psutil
from connected_deployment import ConnectedDeployment
from deployment import CHECKOUT
from generic.emulator import Emulator
from local_deployment import LocalDeployment

from infra.local.layout import PROCESS_MARKER


def test_finds_nothing_wrong_with_a_healthy_stack(connected: ConnectedDeployment, platform: Emulator) -> None:
    """With Slack and Feishu connected, and every platform there."""
    status, document, _ = _doctor(connected)
    wrong = [finding for finding in _findings(document) if finding["severity"] in ("warning", "error")]
    assert wrong == []
    assert status == 0
    assert [place["place"] for place in document["places"]] == [
        "the stack, from outside",
        "gateway",
        "worker",
        "inference",
    ]
    assert {"Feishu takes the application's secret", "Each team's Slack token is its own"} <= {
        finding["what"] for finding in _findings(document)
    }
    assert [place["unseen"] or place["left_out"] for place in document["places"]] == [{}, {}, {}, {}]


def test_shows_no_secret_of_the_stack(deployed: LocalDeployment) -> None:
    _, _, shown = _doctor(deployed)
    assert [name for name, value in deployed.secrets().items() if value in shown] == []


def test_is_no_process_of_the_stack(deployed: LocalDeployment) -> None:
    before = {process.pid for process in deployed.processes()}
    _doctor(deployed, "--only", "settings")
    assert {process.pid for process in deployed.processes()} == before


def test_names_the_process_that_hangs(deployed: LocalDeployment) -> None:
    redis = next(process for process in deployed.processes() if process.environ().get(PROCESS_MARKER) == "redis")
    redis.send_signal(signal.SIGSTOP)
    try:
        status, document, _ = _doctor(deployed, "--only", "redis")
    finally:
        redis.send_signal(signal.SIGCONT)
    assert status == 2
    assert {finding["what"] for finding in _findings(document)} == {"Redis takes connections and does not answer: it hangs"}
    assert psutil.pid_exists(redis.pid)


def _doctor(deployed: LocalDeployment, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, the document, and all that was shown."""
    command = [sys.executable, "-m", "tools.doctor", "--stack", deployed.engine.stack, "--json", *arguments]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=dict(deployed.engine.environment), capture_output=True, text=True, check=False, timeout=300
    )
    deployed.screens.append(done.stdout + done.stderr)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stdout + done.stderr


def _findings(document: dict[str, Any]) -> list[dict[str, str]]:
    return [finding for place in document["places"] for finding in place["findings"]]
