"""A stack on this machine: the doctor once for each process, with that process's environment; and, from outside, whether the
processes run, who has their ports, and whether the gateway answers over TLS where the outputs say."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from app.doctor.checks import disk
from app.doctor.finding import Examination, Finding, error, ok, warning
from infra.local.layout import DIGEST_MARKER, PROCESS_MARKER, STATE_MARKER, Layout
from infra.local.processes import stranger_on
from infra.local.supervisor_client import ProgramState, SupervisorClient, SupervisorUnreachable
from tools.doctor import inside
from tools.stack.assistant import AssistantError
from tools.stack.engine import Engine, EngineError

# By process: how the doctor beside it is to see it.
SERVICES: Final = {
    "gateway": "gateway",
    "worker": "worker",
    "inference": "inference",
    "slack-transport": "transport",
    "feishu-transport": "transport",
}
MARKERS: Final = (STATE_MARKER, PROCESS_MARKER, DIGEST_MARKER)  # the doctor is none of the stack's processes
ANSWER_SECONDS: Final = 5.0
OUTSIDE: Final = "the stack, from outside"


@dataclass(frozen=True, kw_only=True)
class Program:
    """What :mod:`infra.local.launch` reads. Its environment names files of secrets, and holds none."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path


def examine(engine: Engine, only: tuple[str, ...]) -> list[Examination]:
    """Raises :class:`AssistantError` where no stack is up."""
    layout = Layout(engine.state_directory())
    programs = programs_of(layout)
    if not programs:
        raise AssistantError(f"No stack is up in {layout.root}. Bring it up with: make up{engine.make_option}")
    outside = [] if only else [Examination(place=OUTSIDE, findings=tuple(_outside(engine, layout, programs)))]
    return outside + [_inside(program, only) for program in programs if program.name in SERVICES]


def programs_of(layout: Layout) -> list[Program]:
    """In the order in which they need each other."""
    order = ["redis", *SERVICES]
    found = [_program(file) for file in layout.programs.glob("*.json")]
    return sorted(found, key=lambda program: (order.index(program.name) if program.name in order else len(order), program.name))


def _program(file: Path) -> Program:
    content = json.loads(file.read_text(encoding="utf-8"))
    return Program(
        name=file.stem,
        command=tuple(content["command"]),
        environment=content["environment"],
        directory=Path(content["directory"]),
    )


def _inside(program: Program, only: tuple[str, ...]) -> Examination:
    environment = {name: value for name, value in program.environment.items() if name not in MARKERS}
    command = [program.command[0], *inside.arguments(program.name, only, SERVICES[program.name])]
    return inside.ask(program.name, command, environment, program.directory)


def _outside(engine: Engine, layout: Layout, programs: list[Program]) -> list[Finding]:
    supervisor = SupervisorClient(layout.socket)
    found: list[Finding] = []
    try:
        found += [judge_program(program.name, supervisor.program(program.name)) for program in programs]
    except SupervisorUnreachable:
        found.append(
            error(
                "processes",
                "The supervisor is gone: nothing restarts a process that ends",
                f"supervisord does not answer on {layout.socket}",
                f"Bring the stack up again: make up{engine.make_option}",
            )
        )
    for program in programs:
        port = program.environment.get("PORT", "")
        if port.isdigit() and (stranger := stranger_on(int(port), layout.root)):
            found.append(taken(program.name, int(port), stranger))
    found += [disk.seen("the stack's state", layout.root, writes=True), disk.seen("the logs", layout.logs, writes=True)]
    return [*found, _gateway(engine)]


def judge_program(name: str, state: ProgramState | None) -> Finding:
    """``state``: as supervisord has it, None where it knows no such program."""
    log = f"Its log says why: make logs, or {name}.log in the stack's logs."
    if state is None:
        return error(
            "processes", f"{name} is missing", "supervisord knows no such program", "Bring the stack up again: make up"
        )
    if state.state == "RUNNING":
        return ok("processes", f"{name} runs", f"process {state.pid}")
    seen = f"supervisord: {state.state}" + (f", {state.detail}" if state.detail else "")
    if state.state == "STARTING":
        return warning(
            "processes", f"{name} is just starting", seen, "Look again in a moment; if it stays so, it ends again and again."
        )
    if state.state == "BACKOFF":
        return error("processes", f"{name} ends as soon as it is started, again and again", seen, log)
    return error("processes", f"{name} does not run", seen, f"{log} Then: make up")


def taken(name: str, port: int, stranger: str) -> Finding:
    return error(
        "ports",
        f"Port {port} of {name} is taken by another program",
        stranger,
        "End that program, or move the stack: make set KEY=ports.… VALUE=… and make up",
    )


def _gateway(engine: Engine) -> Finding:
    try:
        outputs = engine.outputs(show_secrets=False)
    except EngineError as failure:
        return warning(
            "gateway", "The stack's outputs cannot be read", str(failure).splitlines()[0], "Bring the stack up: make up"
        )
    return judge_answer(str(outputs.get("url")), *_ask(outputs))


def judge_answer(url: str, status: int | None, reason: str) -> Finding:
    if status == 200:
        return ok("gateway", "The gateway answers over TLS, by its authority", f"{url}/healthz")
    return error(
        "gateway",
        "The gateway does not answer over TLS where the outputs say",
        f"{url}/healthz: {reason or status}",
        "See the gateway's own findings below. A certificate that is not accepted is mended by: make up",
    )


def _ask(outputs: Mapping[str, Any]) -> tuple[int | None, str]:
    """The status of the gateway's liveness, or why there is none."""
    parts = urlsplit(str(outputs.get("url")))
    try:
        context = ssl.create_default_context(cadata=str(outputs["caCertificate"]))
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS, context=context)
        with closing(connection):
            connection.request("GET", "/healthz")
            return connection.getresponse().status, ""
    except ssl.SSLCertVerificationError as failure:
        return None, f"certificate not accepted: {failure.verify_message}"
    except TimeoutError:
        return None, f"no answer within {ANSWER_SECONDS:g} s"
    except (OSError, http.client.HTTPException, KeyError, ValueError) as failure:
        return None, getattr(failure, "strerror", None) or type(failure).__name__
