"""Process and Supervisor against a real supervisord, without the engine."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.local.layout import SUPERVISOR, Layout
from infra.local.process import ProcessProvider
from infra.local.processes import is_free, owned_by
from infra.local.provider import LocalError
from infra.local.supervisor import SupervisorProvider

process, supervisor = ProcessProvider(), SupervisorProvider()


@pytest.fixture
def supervised(stack: Any) -> Any:
    supervisor.create({"stateDirectory": str(stack.root), "version": "any"})
    return stack


def pid_of(stack: Any, name: str) -> int:
    (owned,) = owned_by(stack.root, name)
    return owned.pid


def kill(stack: Any, name: str) -> None:
    pid = pid_of(stack, name)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while pid in [owned.pid for owned in owned_by(stack.root, name)] and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_created_process_is_ready_runs_under_supervisord_and_has_nothing_of_the_callers_environment(
    supervised: Any, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    result = process.create(supervised.process("gateway", port, GREETING='%(here)s "quoted" ; $HOME'))
    assert result.outs is not None
    assert result.outs["status"] == "running"
    running = psutil.Process(pid_of(supervised, "gateway"))
    assert running.ppid() == pid_of(supervised, SUPERVISOR)
    environment = running.environ()
    assert environment["GREETING"] == '%(here)s "quoted" ; $HOME'
    assert {name for name in environment if not name.startswith("ASSISTANT_")} - {"LC_CTYPE"} == {"PATH", "PORT", "GREETING"}
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        pass


def test_the_passphrase_of_the_stack_reaches_neither_supervisord_nor_a_process(
    stack: Any, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "canary")
    supervisor.create({"stateDirectory": str(stack.root), "version": "any"})
    process.create(stack.process("gateway", free_port()))
    for owned in owned_by(stack.root):
        assert "canary" not in psutil.Process(owned.pid).environ().values()


def test_supervisord_is_detached_and_its_files_are_private(supervised: Any, free_port: Callable[[], int]) -> None:
    process.create(supervised.process("gateway", free_port()))
    daemon = psutil.Process(pid_of(supervised, SUPERVISOR))
    assert os.getsid(daemon.pid) == daemon.pid
    assert {str(Path(f"/proc/{daemon.pid}/fd/{number}").readlink()) for number in (0, 1, 2)} == {"/dev/null"}
    for path in (supervised.root, *supervised.root.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode & 0o077 == 0, f"{path} has mode {mode:04o}"


def test_creating_what_an_interrupted_up_left_running_takes_it_over(supervised: Any, free_port: Callable[[], int]) -> None:
    properties = supervised.process("gateway", free_port())
    process.create(properties)
    before = pid_of(supervised, "gateway")
    supervisor.create({"stateDirectory": str(supervised.root), "version": "any"})
    process.create(properties)
    assert pid_of(supervised, "gateway") == before


def test_a_process_that_crashes_is_an_error_with_its_last_lines_and_is_taken_away_without_its_neighbours_places(
    supervised: Any, free_port: Callable[[], int]
) -> None:
    with pytest.raises(LocalError) as raised:
        process.create(supervised.process("gateway", free_port(), BEHAVIOUR="crash"))
    assert "ends as soon as it is started" in str(raised.value)
    assert "the configuration is wrong: GREETING is empty" in str(raised.value)
    assert owned_by(supervised.root, "gateway") == []
    assert list(supervised.layout.programs.iterdir()) == []
    assert supervised.layout.log("gateway").exists()  # for whoever wants to know why


def test_a_process_that_does_not_become_ready_is_an_error_that_says_why(supervised: Any, free_port: Callable[[], int]) -> None:
    with pytest.raises(LocalError, match="not ready after 1 s: /readyz answers 503: the model is missing"):
        process.create(supervised.process("gateway", free_port(), ready_within=1.0, BEHAVIOUR="unready"))


def test_a_port_that_somebody_else_has_is_named_with_its_owner(supervised: Any, free_port: Callable[[], int]) -> None:
    port = free_port()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        with pytest.raises(LocalError, match=rf"Port {port}, .* is taken by process {os.getpid()} \(.+\)"):
            process.create(supervised.process("gateway", port))
    assert owned_by(supervised.root, "gateway") == []


def test_an_unchanged_healthy_process_shows_no_drift_and_no_difference(supervised: Any, free_port: Callable[[], int]) -> None:
    properties = supervised.process("gateway", free_port())
    created = process.create(properties).outs or {}
    read = process.read("gateway", created).outs or {}
    assert read == created
    assert process.diff("gateway", read, properties).changes is False


def test_an_update_restarts_what_changed_and_nothing_else(supervised: Any, free_port: Callable[[], int]) -> None:
    gateway, worker = supervised.process("gateway", free_port()), supervised.process("worker", free_port())
    olds = process.create(gateway).outs or {}
    process.create(worker)
    before = {name: pid_of(supervised, name) for name in ("gateway", "worker")}
    changed = {**gateway, "digests": {"code": "2"}}
    assert process.diff("gateway", olds, changed).changes is True
    process.update("gateway", olds, changed)
    assert pid_of(supervised, "gateway") != before["gateway"]
    assert pid_of(supervised, "worker") == before["worker"]


def test_a_killed_process_is_started_again_by_supervisord_and_is_no_drift(
    supervised: Any, free_port: Callable[[], int]
) -> None:
    created = process.create(supervised.process("gateway", free_port())).outs or {}
    before = pid_of(supervised, "gateway")
    kill(supervised, "gateway")
    assert (process.read("gateway", created).outs or {})["status"] == "running"
    assert pid_of(supervised, "gateway") != before


def test_a_process_that_hangs_is_seen_and_replaced(supervised: Any, free_port: Callable[[], int]) -> None:
    properties = supervised.process("gateway", free_port())
    properties["check"] |= {"answer_within": 0.2, "recovers_within": 0.5}
    created = process.create(properties).outs or {}
    before = pid_of(supervised, "gateway")
    os.kill(before, signal.SIGSTOP)
    read = process.read("gateway", created).outs or {}
    assert read["status"] == "unhealthy"
    assert process.diff("gateway", read, properties).changes is True
    process.update("gateway", read, properties)
    assert pid_of(supervised, "gateway") != before


def test_an_altered_file_of_a_process_is_drift_and_is_written_again(supervised: Any, free_port: Callable[[], int]) -> None:
    properties = {**supervised.process("redis", free_port()), "configurationFiles": {"redis.conf": "appendonly yes\n"}}
    created = process.create(properties).outs or {}
    file = supervised.layout.data("redis") / "redis.conf"
    assert file.read_text() == "appendonly yes\n"
    file.write_text("appendonly no\n")
    read = process.read("redis", created).outs or {}
    assert read["status"] == "changed"
    process.update("redis", read, properties)
    assert file.read_text() == "appendonly yes\n"


def test_a_killed_supervisord_alone_is_drift_and_its_update_replaces_the_orphans(
    supervised: Any, free_port: Callable[[], int]
) -> None:
    daemon = {"stateDirectory": str(supervised.root), "version": "any", "status": "running"}
    created = process.create(supervised.process("gateway", free_port())).outs or {}
    orphan = pid_of(supervised, "gateway")
    kill(supervised, SUPERVISOR)

    assert (supervisor.read(SUPERVISOR, daemon).outs or {})["status"] == "dead"
    assert (process.read("gateway", created).outs or {})["status"] == "running"
    assert pid_of(supervised, "gateway") == orphan

    supervisor.update(SUPERVISOR, daemon, daemon)
    assert (supervisor.read(SUPERVISOR, daemon).outs or {})["status"] == "running"
    assert pid_of(supervised, "gateway") != orphan
    assert psutil.Process(pid_of(supervised, "gateway")).ppid() == pid_of(supervised, SUPERVISOR)
    assert (process.read("gateway", created).outs or {})["status"] == "running"


def test_a_process_that_died_with_its_supervisor_is_dead(supervised: Any, free_port: Callable[[], int]) -> None:
    created = process.create(supervised.process("gateway", free_port())).outs or {}
    kill(supervised, SUPERVISOR)
    kill(supervised, "gateway")
    assert (process.read("gateway", created).outs or {})["status"] == "dead"
    with pytest.raises(LocalError, match="make refresh up"):
        process.update("gateway", created, supervised.process("gateway", free_port()))


@pytest.mark.parametrize("supervisor_lives", [True, False])
def test_delete_leaves_nothing(stack: Any, free_port: Callable[[], int], supervisor_lives: bool) -> None:
    daemon = {"stateDirectory": str(stack.root), "version": "any", "status": "running"}
    supervisor.create(daemon)
    port = free_port()
    created = process.create(stack.process("gateway", port)).outs or {}
    (stack.layout.data("gateway") / "written by the process").write_text("data")
    if not supervisor_lives:
        kill(stack, SUPERVISOR)
    process.delete("gateway", created)
    assert owned_by(stack.root, "gateway") == []
    supervisor.delete(SUPERVISOR, daemon)
    assert owned_by(stack.root) == []
    assert not stack.root.exists()
    assert is_free(port)


def test_deleting_the_supervisor_takes_along_what_an_interrupted_up_left(supervised: Any, free_port: Callable[[], int]) -> None:
    process.create(supervised.process("gateway", free_port()))  # and its resource never got into the state
    supervisor.delete(SUPERVISOR, {"stateDirectory": str(supervised.root), "version": "any"})
    assert owned_by(supervised.root) == []
    assert not supervised.root.exists()


def test_delete_ends_a_process_that_ignores_the_request_to_end(supervised: Any, free_port: Callable[[], int]) -> None:
    properties = {**supervised.process("gateway", free_port(), BEHAVIOUR="stubborn"), "stopSeconds": 1}
    created = process.create(properties).outs or {}
    process.delete("gateway", created)
    assert owned_by(supervised.root, "gateway") == []


def test_another_stacks_processes_are_left_alone(supervised: Any, free_port: Callable[[], int], tmp_path: Path) -> None:
    other = tmp_path / "state-of-another"
    supervisor.create({"stateDirectory": str(other), "version": "any"})
    elsewhere = {**supervised.process("gateway", free_port()), "stateDirectory": str(other)}
    created = process.create(elsewhere).outs or {}
    supervisor.delete(SUPERVISOR, {"stateDirectory": str(supervised.root), "version": "any"})
    try:
        assert (process.read("gateway", created).outs or {})["status"] == "running"
    finally:
        process.delete("gateway", created)
        supervisor.delete(SUPERVISOR, {"stateDirectory": str(other), "version": "any"})


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(tmp_path: Path, stack: Any) -> None:
    deep = tmp_path.joinpath(*["a-rather-long-directory-name"] * 5)
    daemon = {"stateDirectory": str(deep), "version": "any"}
    supervisor.create(daemon)
    try:
        assert (supervisor.read(SUPERVISOR, daemon).outs or {})["status"] == "running"
    finally:
        supervisor.delete(SUPERVISOR, daemon)
    assert not deep.exists()
    assert not Layout(deep).socket.parent.exists()


def test_a_directory_that_supervisord_cannot_use_is_refused_at_preview() -> None:
    result = supervisor.check({}, {"stateDirectory": "/somewhere/[brackets]/state", "version": "any"})
    assert supervisor.check({}, {"stateDirectory": "/somewhere/100%/state", "version": "any"}).failures
    (failure,) = result.failures
    assert "KEY=stateDirectory" in failure.reason
    assert supervisor.check({}, {"stateDirectory": "/somewhere/with blanks/state", "version": "any"}).failures == []
