"""``python -m tools.aws --stack prod COMMAND``: what the Makefile's targets for AWS stacks call."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.profiles import SERIOUS_MODEL
from infra.settings import ON_AWS
from tools.aws import bootstrap, estimate, orphans, preflight, secrets
from tools.aws.place import not_configured, settings_of
from tools.models import pin
from tools.pulumi.environment import engine_environment
from tools.stack.engine import Engine, EngineError
from tools.stack.place import place_of

CHECKOUT = Path(__file__).resolve().parents[2]


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    options = _parser().parse_args(arguments)
    stack = options.stack
    engine = Engine(
        checkout=CHECKOUT, stack=stack, environment=engine_environment(CHECKOUT, environment=environment, stack=stack)
    )
    run: Callable[[Engine, argparse.Namespace], int] = options.run
    try:
        if options.on_aws and engine.target() not in ON_AWS:
            raise EngineError(f"The stack {stack} is not on AWS. Name one that is: make {options.command} STACK=prod")
        if options.configured and not engine.configuration.exists():
            raise EngineError(not_configured(engine))
        return run(engine, options)
    except (EngineError, pin.PinError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def write_secrets(engine: Engine, options: argparse.Namespace) -> int:
    rotate = tuple(name.strip() for name in (options.rotate or "").split(",") if name.strip())
    place = place_of(engine)

    def set_number(name: str, number: int) -> None:
        place.set(engine, secrets.setting_of(name), str(number))

    user = secrets.redis_user(json.loads(engine.read("stack", "export")))
    return secrets.run(engine, secrets.Wanted(rotate=rotate, show=options.show), user, set_number, _say)


def pin_model(engine: Engine, options: argparse.Namespace) -> int:
    """The model that is named, else that of the stack's configuration, else the one that is recommended."""
    named = (engine.document().get("config") or {}).get("assistant:model") or {}
    of_stack = named.get("source") if isinstance(named, dict) else None
    source = str(options.source or (of_stack if str(of_stack).startswith("hf:") else SERIOUS_MODEL))
    pinned = pin.pin(source, engine.environment.get(pin.ENDPOINT) or pin.HUB)
    place = place_of(engine)
    if not engine.configuration.exists():
        place.configure(engine)
    place.set(engine, "model.source", pinned.source)
    place.set(engine, "model.sha256", pinned.sha256)
    print(f"model.source  {pinned.source}\nmodel.sha256  {pinned.sha256}   ({pinned.size / 1e9:.1f} GB)")
    print(f"Written to stacks/{engine.configuration.name}. It takes effect with: make up{engine.make_option}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.aws", description=__doc__)
    parser.add_argument("--stack", required=True)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def command(
        name: str,
        run: Callable[[Engine, argparse.Namespace], int],
        summary: str,
        *,
        configured: bool = True,
        on_aws: bool = True,
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary)
        added.set_defaults(run=run, configured=configured, on_aws=on_aws)
        return added

    command("preflight", lambda engine, _: preflight.run(engine), "what an up presupposes, and whether it is there")
    command("bootstrap", lambda engine, _: bootstrap.run(engine, _say), "a bucket and a key for the stack's state")
    command("orphans", lambda engine, _: orphans.show(engine.stack, engine.settings()), "what a destroyed stack has left")
    command(
        "costs",
        lambda engine, _: estimate.show(engine.stack, settings_of(engine)),
        "what it is going to cost a month",
        configured=False,
    )
    writing = command("secrets", write_secrets, "give the secrets that have none a value")
    writing.add_argument("--rotate", metavar="NAME[,NAME]", help="give these a new one")
    writing.add_argument("--show", action="store_true", help="show the platform's, to be entered there")
    pinning = command("model-pin", pin_model, "pin the model's revision and digest", configured=False, on_aws=False)
    pinning.add_argument("--source", help="hf:<owner>/<repository>#<file>.gguf")
    return parser


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
