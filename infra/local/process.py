"""One supervised process: started, awaited, looked at, restarted with what it reads, and removed without a trace."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from infra.local.description import Description
from infra.local.health import Check, Health
from infra.local.logs import last_lines
from infra.local.observe import observe
from infra.local.private_files import make_private_directory, write_private
from infra.local.process_state import Action, Progress, Status, decide, may_recover, status
from infra.local.processes import end, owned_by, stranger_on, wake
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

POLL_SECONDS = 0.1
KILL_SECONDS = 5.0  # how long after its SIGKILL a process may take to be gone


class ProcessProvider(LocalProvider):
    """Inputs: those of :class:`Description`, in camel case. Output besides: ``status`` (see :class:`Status`)."""

    def create(self, props: Props) -> CreateResult:
        description = Description.from_properties(props)
        try:
            converge(description)
        except BaseException:
            remove(description, keep_log=True)
            raise
        return CreateResult(description.name, {**inputs_of(props), "status": Status.RUNNING.value})

    def read(self, id_: str, props: Props) -> ReadResult:
        return present(id_, {**inputs_of(props), "status": settled_status(Description.from_properties(props)).value})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = changed_inputs(olds, news)
        if olds.get("status") != Status.RUNNING.value:
            changed.append("status")
        return update_or_replace(changed, replaced_by=frozenset({"stateDirectory", "process"}))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        converge(Description.from_properties(news))
        return UpdateResult({**inputs_of(news), "status": Status.RUNNING.value})

    def delete(self, _id: str, props: Props) -> None:
        remove(Description.from_properties(props))


def settled_status(description: Description) -> Status:
    """The status, once it is good or the time to recover has passed: what supervisord mends by itself is no drift, and a
    process whose neighbour just restarted is not broken."""
    deadline = time.monotonic() + description.check.recovers_within
    while True:
        observed, _ = observe(description)
        found = status(observed, description.digest)
        waiting = found is Status.UNHEALTHY or (found is Status.DEAD and may_recover(observed))
        if not waiting or time.monotonic() > deadline:
            return found
        time.sleep(POLL_SECONDS)


def converge(description: Description) -> None:
    """Take the steps of :func:`infra.local.process_state.decide` until the process runs ``description`` and is ready.

    Raises :class:`LocalError` with the end of its log.
    """
    client = SupervisorClient(description.layout.socket)
    placed = started = False
    crashes, last_program = 0, ""
    since = time.monotonic()
    while True:
        observed, health = observe(description)
        if observed.program in {None, "ORPHAN"} and not client.answers():
            raise LocalError(
                f"supervisord does not answer, so {description.name} cannot be started. Let the stack see that and mend it: "
                "make refresh up"
            )
        if observed.program in {"BACKOFF", "EXITED", "FATAL"} and observed.program != last_program:
            crashes += 1
        last_program = observed.program or ""
        waited = time.monotonic() - since
        progress = Progress(
            placed=placed,
            started=started,
            crashes=crashes,
            waited=waited,
            ready_within=description.check.ready_within,
            recovers_within=description.check.recovers_within,
        )
        match decide(observed, description.digest, progress):
            case Action.DONE:
                return
            case Action.FAIL:
                raise LocalError(_failure(description, observed.program, crashes, waited, health))
            case Action.WAIT:
                time.sleep(POLL_SECONDS)
            case Action.START:
                _translated(lambda: client.start(description.name))
                started, since = True, time.monotonic()
            case Action.PLACE:
                _translated(lambda: _place(description, client))
                placed, crashes, last_program, since = True, 0, "", time.monotonic()


def remove(description: Description, *, keep_log: bool = False) -> None:
    """Nothing of the process is left, whether supervisord lives or not; ``keep_log`` for somebody who wants to know why."""
    _take_away(description, SupervisorClient(description.layout.socket))
    for file in (description.configuration, description.program):
        file.unlink(missing_ok=True)
    shutil.rmtree(description.directory, ignore_errors=True)
    if not keep_log:
        for log in description.layout.logs.glob(f"{description.name}.log*"):
            log.unlink(missing_ok=True)


def _place(description: Description, client: SupervisorClient) -> None:
    """Replace whatever runs under this name by ``description``, which supervisord starts."""
    _take_away(description, client)
    port = description.check.port
    if stranger := stranger_on(port, description.state_directory):
        raise LocalError(
            f"Port {port}, which {description.name} needs, is taken by {stranger}. End it, or choose another port."
        )
    for directory in (description.layout.programs, description.layout.logs, description.directory):
        make_private_directory(directory)
    for name, content in description.files.items():
        write_private(description.directory / name, content)
    write_private(description.program, description.program_text())
    write_private(description.configuration, description.configuration_text(sys.executable))
    client.add(description.name)
    client.start(description.name)  # at once, rather than at supervisord's next tick


def _take_away(description: Description, client: SupervisorClient) -> None:
    """Have supervisord, where it answers, stop and forget the program; end by hand what is left of it."""
    try:
        if client.program(description.name):
            client.stop(description.name)
            wake(owned_by(description.state_directory, description.name))  # one that is suspended hears no SIGTERM
            _await(lambda: _has_stopped(client, description.name), description.stop_seconds + KILL_SECONDS)
            client.remove(description.name)
    except SupervisorUnreachable:
        pass
    end(owned_by(description.state_directory, description.name), grace=description.stop_seconds)


def _has_stopped(client: SupervisorClient, name: str) -> bool:
    program = client.program(name)
    return program is None or program.state in {"STOPPED", "EXITED", "FATAL"}


def _await(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _translated(step: Callable[[], None]) -> None:
    try:
        step()
    except SupervisorUnreachable as error:
        raise LocalError(str(error)) from error


def _failure(description: Description, program: str | None, crashes: int, waited: float, health: Health) -> str:
    log = description.layout.log(description.name)
    if crashes:
        what = f"{description.name} ends as soon as it is started ({crashes} times, now {program})"
    else:
        what = f"{description.name} is not ready after {waited:.0f} s: {health.detail or program}"
    return f"{what}.\n{last_lines(log)}"


class Process(Resource, module="local", name="Process"):
    """A process under the stack's supervisor, ready when its resource is created. Depends on the :class:`Supervisor`."""

    status: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        state_directory: Path,
        command: Sequence[pulumi.Input[str]],
        environment: Mapping[str, pulumi.Input[str]],
        check: Check,
        configuration_files: Mapping[str, pulumi.Input[str]] | None = None,
        digests: Mapping[str, pulumi.Input[str]] | None = None,
        stop_seconds: int = 10,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties: dict[str, Any] = {
            "stateDirectory": str(state_directory),
            "process": name,
            "command": list(command),
            "environment": dict(environment),
            "check": check.as_input(),
            "configurationFiles": dict(configuration_files or {}),
            "digests": dict(digests or {}),
            "stopSeconds": stop_seconds,
            "status": None,
        }
        super().__init__(ProcessProvider(), name, properties, opts)
