"""``python -m tools.stack COMMAND``: what the Makefile's targets call."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.pulumi.environment import engine_environment
from tools.stack import conversation, reach, teardown, welcome
from tools.stack.assistant import Assistant, AssistantError
from tools.stack.engine import POLICY_PACK, Engine, EngineError, policy_pack
from tools.stack.place import place_of
from tools.stack.reach import reached

CHECKOUT = Path(__file__).resolve().parents[2]


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    engine = Engine(
        checkout=CHECKOUT,
        stack=options.stack,
        environment=engine_environment(CHECKOUT, environment=environment, stack=options.stack),
    )
    try:
        command: Callable[[Engine, argparse.Namespace], int] = options.run
        return command(engine, options)
    except (EngineError, AssistantError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def up(engine: Engine, options: argparse.Namespace) -> int:
    place = place_of(engine)
    engine = place.before_up(engine)
    with policy_pack(unprotect=options.unprotect) as pack:
        engine.stream("up", "--yes", "--skip-preview", "--suppress-outputs", *pack)
    place.after_up(engine)
    if not options.welcome:
        return 0
    outputs = place.opened(engine, engine.outputs(show_secrets=True))
    with reached(engine, outputs) as here:
        return welcome.show(engine, outputs, here)


def preview(engine: Engine, options: argparse.Namespace) -> int:
    from tools.stack import policy_results  # late: it brings the pack along, which no other command needs

    with place_of(engine).previewed(engine) as prepared, policy_results.recorded(prepared, strict=options.strict) as run:
        recording, file = run
        try:
            return recording.stream("preview", "--diff", "--policy-pack", POLICY_PACK)
        finally:
            if words := policy_results.told(file, strict=options.strict):
                print(words, flush=True)


def refresh(engine: Engine, _options: argparse.Namespace) -> int:
    place = place_of(engine)
    engine = place.ready(engine, "Looking at")
    # A create that was cut off is repaired by the next up, whatever became of it: it need not be asked about.
    return engine.stream("refresh", "--yes", "--skip-preview", "--clear-pending-creates", *place.refresh_flags)


def down(engine: Engine, _options: argparse.Namespace) -> int:
    return teardown.down(engine)


def clean(engine: Engine, _options: argparse.Namespace) -> int:
    return teardown.clean(engine)


def show_outputs(engine: Engine, options: argparse.Namespace) -> int:
    outputs = _opened(engine) if options.secrets else engine.outputs(show_secrets=False)
    print(json.dumps(outputs, indent=2, ensure_ascii=False))
    return 0


def export_state(engine: Engine, options: argparse.Namespace) -> int:
    """The state as it stands, its secrets encrypted as the backend has them."""
    engine = place_of(engine).ready(engine, "Exporting")
    file: Path = options.file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(engine.read("stack", "export"), encoding="utf-8")
    print(f"Written: {file}")
    return 0


def set_value(engine: Engine, options: argparse.Namespace) -> int:
    if not options.key or not options.value:
        print("Which setting? For example: make set KEY=ports.gateway VALUE=9443 (all: docs/configuration.md)", file=sys.stderr)
        return 2
    place = place_of(engine)
    if not engine.configuration.exists():  # a wrong one is what this may mend
        place.configure(engine)
    place.set(engine, options.key, options.value)
    engine.settings()  # says at once what is wrong with it
    print(f"Set. It takes effect with: make up{engine.make_option}")
    return 0


def ask(engine: Engine, options: argparse.Namespace) -> int:
    if not options.question.strip():
        print('What is the question? For example: make ask Q="What is the capital of France?"', file=sys.stderr)
        return 2
    with reached(engine, _opened(engine)) as outputs:
        print(Assistant.from_outputs(outputs, engine.make_option).ask(options.question, options.context))
    return 0


def say(engine: Engine, options: argparse.Namespace) -> int:
    if not options.text.strip():
        print('What is to be said? For example: make say TEXT="创建一个周会的日程在2026-12-01"', file=sys.stderr)
        return 2
    with reached(engine, _opened(engine)) as outputs:
        return conversation.say(engine, outputs, options.text)


def forward(engine: Engine, options: argparse.Namespace) -> int:
    return reach.forward(engine, engine.outputs(show_secrets=False), options.port)


def show_logs(engine: Engine, options: argparse.Namespace) -> int:
    return place_of(engine).logs(engine, lines=options.lines, follow=options.follow)


def _opened(engine: Engine) -> dict[str, Any]:
    return place_of(engine).opened(engine, engine.outputs(show_secrets=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.stack", description=__doc__)
    parser.add_argument("--stack", default="local")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[Engine, argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary)
        added.set_defaults(run=run)
        return added

    bringing = command("up", up, "deploy, then ask a question and try a task")
    bringing.add_argument("--no-welcome", dest="welcome", action="store_false")
    bringing.add_argument("--unprotect", action="store_true", help="let the protection be taken off, before a down")
    command("preview", preview, "what an up would change").add_argument(
        "--strict", action="store_true", help="fail for what is undetermined about a critical or high rule"
    )
    command("refresh", refresh, "look at what is really there")
    command("down", down, "remove all that the stack made")
    command("clean", clean, "down, and the stack itself")
    command("outputs", show_outputs, "the stack's outputs as JSON").add_argument("--secrets", action="store_true")
    command("export", export_state, "the state, for evidence").add_argument("--file", type=Path, required=True)
    setting = command("set", set_value, "change a setting")
    setting.add_argument("key")
    setting.add_argument("value")
    asking = command("ask", ask, "ask a question")
    asking.add_argument("question")
    asking.add_argument("--context", default="")
    command("say", say, "send a signed event and show its way").add_argument("text")
    opening = command("forward", forward, "keep a way to a cluster's gateway open until ^C")
    opening.add_argument("--port", type=int, help="of this machine; default: the one of the stack's url")
    reading = command("logs", show_logs, "the processes' logs")
    reading.add_argument("--lines", type=int, default=40)
    reading.add_argument("--follow", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
