"""``python -m tools.operate --stack STACK COMMAND``: what ``make dead-letters`` and ``make audit-verify`` call."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.operate import audit, dead_letters
from tools.pulumi.environment import engine_environment
from tools.stack.assistant import Assistant, AssistantError
from tools.stack.engine import Engine, EngineError
from tools.stack.place import place_of
from tools.stack.reach import reached

CHECKOUT = Path(__file__).resolve().parents[2]
LARGEST_LIST = 100_000


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    options = _options(arguments)
    engine = Engine(
        checkout=CHECKOUT,
        stack=options.stack,
        environment=engine_environment(CHECKOUT, environment=environment, stack=options.stack),
    )
    try:
        return audit.verify(engine) if options.command == "audit-verify" else settle(engine, options)
    except (EngineError, AssistantError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def settle(engine: Engine, options: argparse.Namespace) -> int:
    with reached(engine, place_of(engine).opened(engine, engine.outputs(show_secrets=True))) as outputs:
        assistant = Assistant.from_outputs(outputs, engine.make_option)
        with assistant.client() as client:
            office = dead_letters.Administration(client, assistant)
            if options.replay:
                return dead_letters.replay(office, options.replay)
            if options.discard:
                return dead_letters.discard(office, options.discard)
            if options.key:
                return dead_letters.show_one(office, options.key, as_json=options.json)
            return dead_letters.show_list(office, options.limit, options.state, as_json=options.json)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.operate", description=__doc__)
    parser.add_argument("--stack", default="local")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    letters = commands.add_parser("dead-letters", help="what waits for a person, and what to do with it")
    letters.add_argument("--key", default="", help="show this one")
    letters.add_argument("--replay", default="", metavar="KEY", help="queue it again")
    letters.add_argument("--discard", default="", metavar="KEY", help="forget it, for good")
    letters.add_argument("--state", default="", choices=["", "dead", "unknown"], help="these alone")
    letters.add_argument("--limit", type=int, default=100, help="at most so many, the oldest (default %(default)s)")
    letters.add_argument("--json", action="store_true")
    commands.add_parser("audit-verify", help="is the audit log whole?")
    options = parser.parse_args(arguments)
    if options.command == "dead-letters":
        if sum(map(bool, (options.key, options.replay, options.discard))) > 1:
            parser.error("one of KEY, REPLAY and DISCARD at a time")
        if not 1 <= options.limit <= LARGEST_LIST:
            parser.error(f"LIMIT={options.limit}: from 1 to {LARGEST_LIST}")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
