"""``python -m app.pipeline.aside``: what waits for a person, dead letters and unknown outcomes, and what to do with it.

``list`` prints one JSON object an event, oldest first; ``replay KEY…`` queues events again with fresh attempts and ``discard
KEY…`` forgets them. Redis is the worker's, from the same environment, so it runs beside one: ``kubectl exec deploy/worker --
python -m app.pipeline.aside list``. ``make dead-letters`` does the same through the gateway, and knows who asks. Each call is
in the audit log. Exit status: 0 done, 1 Redis or the audit log is away or an event was not set aside, 2 wrong usage or
settings.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path

from prometheus_client import CollectorRegistry

from app.pipeline.queue import Queue, QueueUnavailable, SetAside, State
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.settings import RedisSettings, SettingsError, load
from app.telemetry.audit.actions import EVENT_DISCARDED, EVENT_REPLAYED, EVENTS_READ
from app.telemetry.audit.log import auditing
from app.telemetry.audit.operation import DONE, NOT_FOUND, operation
from app.telemetry.audit.record import Audit, AuditUnavailable
from app.telemetry.logs import configure

FAILED, EXIT_CONFIGURATION = 1, 2
LARGEST_LIST = 10_000


class OperatorSettings(RedisSettings):
    audit_directory: Path | None = None


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        settings = load(OperatorSettings, os.environ)
    except SettingsError as error:
        print(f"wrong settings:\n{error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    try:
        return asyncio.run(_act(options, settings))
    except QueueUnavailable as error:
        print(f"the queue is away: {error}", file=sys.stderr)
    except AuditUnavailable as error:
        print(f"nothing is shown or done without an audit record: {error}", file=sys.stderr)
    return FAILED


async def _act(options: argparse.Namespace, settings: OperatorSettings) -> int:
    redis = connect(settings)
    try:
        directory, registry = settings.audit_directory, CollectorRegistry()
        with _output(directory, os.environ) as descriptor:
            async with auditing(directory, redis, registry, "aside", descriptor) as audit:
                queue = RedisQueue(redis)
                if options.command == "list":
                    return await _list(queue, audit, options.limit, options.state)
                return await _settle(queue, audit, options.command, options.keys)
    finally:
        await redis.close()


async def _list(queue: Queue, audit: Audit, limit: int, state: str | None) -> int:
    found = await queue.set_aside(limit, state=State(state) if state else None)
    await audit.record(EVENTS_READ, actor=_actor(), count=len(found), **({"state": state} if state else {}))
    for aside in found:
        print(json.dumps(_line(aside), ensure_ascii=False))
    return 0


async def _settle(queue: Queue, audit: Audit, command: str, keys: list[str]) -> int:
    """``replay`` or ``discard`` each of ``keys``; one that is not set aside is told and does not stop the others."""
    status = 0
    action, settle = (EVENT_REPLAYED, queue.replay) if command == "replay" else (EVENT_DISCARDED, queue.discard)
    for key in keys:
        async with operation(audit, action, actor=_actor(), subject=key) as outcome:
            done = await settle(key)
            outcome.word = DONE if done else NOT_FOUND
        print(json.dumps({"event": key, "done": done}, ensure_ascii=False))
        if not done:
            print(f"{key}: not set aside: `list` shows what is; perhaps somebody was faster", file=sys.stderr)
            status = FAILED
    return status


def _actor() -> str:
    """Who has a shell beside a worker: the platform's own log (Kubernetes', ECS') knows which person that was."""
    return f"shell:{os.getuid()}@{socket.gethostname()}"


@contextlib.contextmanager
def _output(directory: Path | None, environment: Mapping[str, str]) -> Iterator[int]:
    """Where audit records go without a folder. What `kubectl exec` prints nobody keeps, so there they go to the output of the
    container's own process; else to standard error, since standard output is for the list."""
    descriptor = -1
    if directory is None and environment.get("KUBERNETES_SERVICE_HOST"):
        with contextlib.suppress(OSError):
            descriptor = os.open("/proc/1/fd/1", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        yield descriptor if descriptor >= 0 else sys.stderr.fileno()
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _line(found: SetAside) -> dict[str, object]:
    """Identifiers and figures; what somebody said, and who, stays in the queue."""
    return {
        "event": found.key,
        "state": found.state.value,
        "reason": found.reason,
        "at": found.at.astimezone(UTC).isoformat(timespec="seconds"),
        "attempts": found.attempts,
    }


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m app.pipeline.aside", description="Dead letters and unknown outcomes: show, replay, discard."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="one JSON object a line, oldest first")
    listing.add_argument("--state", choices=[State.DEAD.value, State.UNKNOWN.value], help="only these")
    listing.add_argument("--limit", type=int, default=1000, help="at most so many, the oldest (default %(default)s)")
    replay = commands.add_parser("replay", help="queue events again; an unknown one may then take effect twice")
    discard = commands.add_parser("discard", help="forget events, for good")
    for command in (replay, discard):
        command.add_argument("keys", nargs="+", metavar="KEY", help='as `list` shows it in "event"')
    options = parser.parse_args(arguments)
    if options.command == "list" and not 1 <= options.limit <= LARGEST_LIST:
        parser.error(f"--limit {options.limit}: from 1 to {LARGEST_LIST}")
    return options


if __name__ == "__main__":
    configure("aside", "error")
    sys.exit(main())
