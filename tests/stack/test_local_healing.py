"""An up that changes nothing, and wounds that heal one by one."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import httpx2
import psutil
import pytest
from generic.emulator import Emulator
from local_deployment import LocalDeployment

from infra.local.layout import PROCESS_MARKER
from tools.stack.assistant import Assistant


def test_changes_nothing_the_second_time(deployed: LocalDeployment) -> None:
    before = {process.pid for process in deployed.processes()}
    run = deployed.up(policies=True)
    assert run.code == 0, run.screen
    assert run.changed == {}
    assert {process.pid for process in deployed.processes()} == before


def test_sees_no_drift_in_a_healthy_stack(deployed: LocalDeployment) -> None:
    run = deployed.refresh()
    assert run.code == 0, run.screen
    assert "unchanged" in run.screen
    assert deployed.up().changed == {}


@pytest.mark.parametrize("name", ["redis", "inference", "gateway", "worker"])
def test_mends_a_killed_process_and_leaves_the_others_alone(deployed: LocalDeployment, assistant: Assistant, name: str) -> None:
    before = _pids(deployed)
    psutil.Process(before[name]).kill()
    assert deployed.refresh().code == 0
    run = deployed.up()
    assert run.code == 0, run.screen
    assert run.changed.keys() <= {name}  # the supervisor may have been faster, and then nothing is left to mend
    after = _pids(deployed)
    assert after[name] != before[name]
    assert {other: pid for other, pid in after.items() if other != name} == {
        other: pid for other, pid in before.items() if other != name
    }
    assert "Paris" in assistant.ask("What is the capital of France?")


def test_sees_and_mends_a_stopped_process(deployed: LocalDeployment, assistant: Assistant) -> None:
    pids = _pids(deployed)
    psutil.Process(pids["gateway"]).send_signal(signal.SIGSTOP)
    assert deployed.refresh().code == 0
    run = deployed.up()
    assert run.code == 0, run.screen
    assert run.changed == {"gateway": "update"}
    assert "Paris" in assistant.ask("What is the capital of France?")


def test_mends_a_killed_supervisor(deployed: LocalDeployment, assistant: Assistant) -> None:
    psutil.Process(_pids(deployed)["supervisord"]).kill()
    assert deployed.refresh().code == 0
    run = deployed.up()
    assert run.code == 0, run.screen
    assert run.changed == {"supervisor": "update"}
    assert deployed.up().changed == {}
    assert len(deployed.processes()) == 5
    assert "Paris" in assistant.ask("What is the capital of France?")


def test_loses_and_doubles_nothing_when_the_worker_is_killed_under_load(
    deployed: LocalDeployment, send: Callable[..., httpx2.Response], platform: Emulator
) -> None:
    count = 100
    run = time.monotonic_ns()
    for number in range(count):
        text = f"创建一个会议{number}的日程在2026-12-01"
        assert send(text, event_id=f"{run}-{number}", conversation=f"{run}-{number % 10}").status_code == 200
        if number % 25 == 10:
            _kill_when_it_runs(deployed, "worker")
    ours = [f"{run}-{conversation}" for conversation in range(10)]
    assert platform.wait_for(lambda it: len(_texts(it, ours)) >= count, 90)
    summaries = [entry["summary"] for entry in platform.calendar]
    assert sorted(summaries) == sorted(f"会议{number}" for number in range(count))
    assert len(_texts(platform, ours)) == count
    for number, conversation in enumerate(ours):
        expected = [f"会议{each}（" for each in range(number, count, 10)]
        replies = _texts(platform, [conversation])
        assert [title in reply for title, reply in zip(expected, replies, strict=True)] == [True] * len(expected)


def _texts(platform: Emulator, conversations: list[str]) -> list[str]:
    return [message["text"] for message in platform.messages if message["conversation"] in conversations]


def _kill_when_it_runs(deployed: LocalDeployment, name: str) -> None:
    """SIGKILL; a process that the last blow has felled is first waited for."""
    deadline = time.monotonic() + 20
    while name not in (pids := _pids(deployed)):
        assert time.monotonic() < deadline, f"{name} did not come back"
    psutil.Process(pids[name]).kill()


def _pids(deployed: LocalDeployment) -> dict[str, int]:
    """Process name -> pid, of those that answer to the supervisor, and the supervisor's own."""
    return {process.environ().get(PROCESS_MARKER, "supervisord"): process.pid for process in deployed.processes()}
