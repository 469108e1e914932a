"""Records of processes: found again, ended, and never mistaken for a stranger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.kubernetes.processes import Program, Supervisor, observe, start_time, state_letter

SLEEP = Program(name="sleep", command=(sys.executable, "-c", "import time; time.sleep(60)"))
DEAF = Program(
    name="deaf",
    command=(
        sys.executable,
        "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)",
    ),
)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    result = Supervisor(tmp_path / "processes", tmp_path / "logs")
    yield result
    for name in result.names():
        result.stop(name, 0)


def test_the_start_time_is_read_past_a_name_with_blanks_and_brackets() -> None:
    stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 7777 0 0"
    assert start_time(stat) == 7777
    assert state_letter(stat) == "S"


def test_a_started_process_is_found_again_and_has_a_session_of_its_own(supervisor: Supervisor, tmp_path: Path) -> None:
    record = supervisor.start(SLEEP, os.environ)
    assert Supervisor(tmp_path / "processes", tmp_path / "logs").find("sleep") == record
    assert os.getsid(record.pid) == record.pid


def test_stop_ends_it_and_forgets_it(supervisor: Supervisor) -> None:
    record = supervisor.start(SLEEP, os.environ)
    supervisor.stop("sleep")
    assert observe(record.pid) is None
    assert supervisor.names() == []


def test_stop_kills_what_does_not_listen(supervisor: Supervisor) -> None:
    record = supervisor.start(DEAF, os.environ)
    while "ready" not in supervisor.last_lines("deaf"):
        pass
    supervisor.stop("deaf", 0.2)
    assert observe(record.pid) is None


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another"}])
def test_a_stranger_with_the_same_number_is_neither_found_nor_ended(
    supervisor: Supervisor, tmp_path: Path, change: dict[str, object]
) -> None:
    stranger = subprocess.Popen(SLEEP.command)
    try:
        record = supervisor.start(SLEEP, os.environ)
        supervisor.stop("sleep")
        said = {"pid": stranger.pid, "started": observe(stranger.pid), "boot": record.boot, **change}
        (tmp_path / "processes" / "sleep.json").write_text(json.dumps(said))
        assert supervisor.find("sleep") is None
        supervisor.stop("sleep")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_it_said_last_can_be_shown(supervisor: Supervisor) -> None:
    program = Program(name="talk", command=(sys.executable, "-c", "print(*range(100), sep='\\n', flush=True)"))
    supervisor.start(program, os.environ)
    while "99" not in supervisor.last_lines("talk"):
        pass
    assert supervisor.last_lines("talk", 2) == "98\n99"
    assert supervisor.last_lines("never-started") == ""
