"""``python -m app.pipeline.aside``: what waits for a person, dead letters and unknown outcomes, and what to do with it.

``list`` prints one JSON object an event, oldest first; ``replay KEY…`` queues events again with fresh attempts and ``discard
KEY…`` forgets them. Redis is the worker's, from the same environment, so it runs beside one: ``kubectl exec deploy/worker --
python -m app.pipeline.aside list``. Exit status: 0 done, 1 Redis is away or an event was not set aside, 2 wrong usage or
settings.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from datetime import UTC

from app.pipeline.queue import Queue, QueueUnavailable, SetAside, State
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.settings import RedisSettings, SettingsError, load

FAILED, EXIT_CONFIGURATION = 1, 2
LARGEST_LIST = 10_000


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        settings = load(RedisSettings, os.environ)
    except SettingsError as error:
        print(f"wrong settings:\n{error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    try:
        return asyncio.run(_act(options, settings))
    except QueueUnavailable as error:
        print(f"the queue is away: {error}", file=sys.stderr)
        return FAILED


async def _act(options: argparse.Namespace, settings: RedisSettings) -> int:
    redis = connect(settings)
    try:
        queue = RedisQueue(redis)
        if options.command == "list":
            return await _list(queue, options.limit, options.state)
        return await _settle(queue, options.command, options.keys)
    finally:
        await redis.close()


async def _list(queue: Queue, limit: int, state: str | None) -> int:
    for found in await queue.set_aside(limit, state=State(state) if state else None):
        print(json.dumps(_line(found), ensure_ascii=False))
    return 0


async def _settle(queue: Queue, command: str, keys: list[str]) -> int:
    """``replay`` or ``discard`` each of ``keys``; one that is not set aside is told and does not stop the others."""
    status = 0
    for key in keys:
        done = await (queue.replay(key) if command == "replay" else queue.discard(key))
        print(json.dumps({"event": key, "done": done}, ensure_ascii=False))
        if not done:
            print(f"{key}: not set aside: `list` shows what is; perhaps somebody was faster", file=sys.stderr)
            status = FAILED
    return status


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
    sys.exit(main())
