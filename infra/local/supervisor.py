"""supervisord: detached from ``up``, reached over a private Unix socket, with one program for each :class:`Process`."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from infra.local.description import supervisor_text
from infra.local.health import Check, Health, probe
from infra.local.layout import DIGEST_MARKER, PROCESS_MARKER, STATE_MARKER, SUPERVISOR, Layout
from infra.local.logs import last_lines
from infra.local.private_files import make_private_directory, read_text, remove_empty, write_private
from infra.local.processes import digest_of, end, owned_by
from infra.local.provider import (
    LocalError,
    LocalProvider,
    Props,
    changed_inputs,
    inputs_of,
    present,
    update_or_replace,
)
from infra.local.supervisor_client import SupervisorClient, SupervisorUnreachable

START_SECONDS = 15.0
STOP_SECONDS = 60.0  # for all programs together; what lives longer is killed
POLL_SECONDS = 0.05
# supervisord reads its files by a glob pattern and from INI syntax, where it expands "%" in the path of a log twice.
UNUSABLE_IN_PATHS = frozenset("*?[];%\n\r")


class SupervisorProvider(LocalProvider):
    """Inputs: ``stateDirectory``, ``version`` (of supervisor). Output besides: ``status`` (running, changed or dead)."""

    def check(self, _olds: Props, news: Props) -> CheckResult:
        found = sorted(UNUSABLE_IN_PATHS & set(news["stateDirectory"]))
        reason = (
            f"{news['stateDirectory']!r} contains {' '.join(map(repr, found))}, which supervisord cannot have in a path. "
            "Choose another place: make set KEY=stateDirectory VALUE=<path>"
        )
        return CheckResult(news, [CheckFailure("", reason)] if found else [])

    def create(self, props: Props) -> CreateResult:
        layout = _layout(props)
        try:
            ensure(layout)
        except LocalError:
            remove(layout)
            raise
        return CreateResult(SUPERVISOR, {**inputs_of(props), "status": "running"})

    def read(self, id_: str, props: Props) -> ReadResult:
        return present(id_, {**inputs_of(props), "status": status(_layout(props))})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = changed_inputs(olds, news)
        if olds.get("status") != "running":
            changed.append("status")
        return update_or_replace(changed, replaced_by=frozenset({"stateDirectory"}))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        ensure(_layout(news))
        return UpdateResult({**inputs_of(news), "status": "running"})

    def delete(self, _id: str, props: Props) -> None:
        remove(_layout(props))


def status(layout: Layout) -> str:
    """``running``, ``changed`` (another version, configuration or altered file) or ``dead``."""
    try:
        pid = SupervisorClient(layout.socket).pid()
    except SupervisorUnreachable:
        return "dead"
    wanted = _configuration(layout)
    intact = digest_of(pid, SUPERVISOR) == _digest(wanted) and read_text(layout.supervisor_configuration) == wanted
    return "running" if intact else "changed"


def ensure(layout: Layout) -> None:
    """A supervisord of this version and configuration runs, and so do its programs.

    What an earlier one left behind is ended first: supervisord cannot adopt a process. Raises :class:`LocalError`.
    """
    if status(layout) == "running":
        return
    for directory in (layout.root, layout.supervisor, layout.programs, layout.logs, layout.socket.parent):
        make_private_directory(directory)
    _stop(layout)
    configuration = _configuration(layout)
    write_private(layout.supervisor_configuration, configuration)
    _start(layout, _digest(configuration))
    _await_programs(layout)


def remove(layout: Layout) -> None:
    """Whatever state it is in, nothing is left of it, of its logs, and of programs whose own resource is not there to remove
    them, because an ``up`` was interrupted. What other resources put into the stack's directory stays."""
    _stop(layout)
    for program in layout.programs.glob("*.json"):
        shutil.rmtree(layout.data(program.stem), ignore_errors=True)
    for directory in (layout.supervisor, layout.logs):
        shutil.rmtree(directory, ignore_errors=True)
    layout.socket.unlink(missing_ok=True)
    if layout.socket.parent != layout.supervisor:
        remove_empty(layout.socket.parent, layout.socket.parent)
    remove_empty(layout.root, layout.root)


def _stop(layout: Layout) -> None:
    """End supervisord in order if it answers, then everything that carries the stack's marker."""
    try:
        SupervisorClient(layout.socket).shutdown()
    except SupervisorUnreachable:
        pass
    else:
        deadline = time.monotonic() + STOP_SECONDS
        while owned_by(layout.root, SUPERVISOR) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    end(owned_by(layout.root, SUPERVISOR), grace=START_SECONDS)
    end(owned_by(layout.root), grace=START_SECONDS)
    layout.socket.unlink(missing_ok=True)


def _start(layout: Layout, digest: str) -> None:
    # Nothing of the caller's environment, which holds the stack's passphrase, reaches the processes.
    environment = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        STATE_MARKER: str(layout.root),
        PROCESS_MARKER: SUPERVISOR,
        DIGEST_MARKER: digest,
    }
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(layout.supervisor_configuration)]
    # It goes into the background by itself, with a session and descriptors of its own, once it listens.
    done = subprocess.run(
        command,
        env=environment,
        cwd=layout.root,
        umask=0o077,  # its own log as well
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    client = SupervisorClient(layout.socket)
    deadline = time.monotonic() + START_SECONDS
    while done.returncode == 0 and not client.answers():
        if time.monotonic() > deadline:
            raise LocalError(f"supervisord does not answer.\n{last_lines(layout.log(SUPERVISOR))}")
        time.sleep(POLL_SECONDS)
    if done.returncode:
        raise LocalError(f"supervisord does not start: {(done.stderr or done.stdout).strip()}")


def _await_programs(layout: Layout) -> None:
    """Wait until every program that supervisord found is ready again."""
    waiting = {file.stem: _check_of(file) for file in sorted(layout.programs.glob("*.json"))}
    since = time.monotonic()
    while waiting:
        for name, check in list(waiting.items()):
            health = probe(check) if check else Health(True)
            if health.ready:
                del waiting[name]
            elif check and time.monotonic() - since > check.ready_within:
                raise LocalError(f"{name} is not ready again: {health.detail}\n{last_lines(layout.log(name))}")
        time.sleep(POLL_SECONDS)


def _check_of(file: Path) -> Check | None:
    try:
        return Check.from_input(json.loads(file.read_text(encoding="utf-8"))["check"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not ours, or half of something: its Process will see to it


def _layout(props: Mapping[str, Any]) -> Layout:
    return Layout(Path(props["stateDirectory"]))


def _configuration(layout: Layout) -> str:
    return supervisor_text(layout, pwd.getpwuid(0).pw_name if os.getuid() == 0 else None)


def _digest(configuration: str) -> str:
    return hashlib.sha256(f"{version('supervisor')}\n{configuration}".encode()).hexdigest()


class Supervisor(Resource, module="local", name="Supervisor"):
    """The parent of the stack's processes: it restarts what crashes and rotates their logs."""

    def __init__(self, name: str, *, state_directory: Path, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {"stateDirectory": str(state_directory), "version": version("supervisor"), "status": None}
        super().__init__(SupervisorProvider(), name, properties, opts)
