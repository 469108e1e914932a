"""``python -m tools.review --stack prod review|drift``: what the Makefile's targets of these names call.

Exit codes of ``review``: 0 fine, 1 failed (a policy, or the engine refuses), 3 the label is missing. Of ``drift``: 0 none,
1 it could not be looked at, 3 something is otherwise than the state says.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from policies.record import RecordMistake
from tools.pulumi.environment import engine_environment
from tools.review import drift
from tools.review.errors import ReviewError
from tools.stack.engine import Engine, EngineError

CHECKOUT = Path(__file__).resolve().parents[2]


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    options = _parser().parse_args(arguments)
    stack = options.stack
    engine = Engine(
        checkout=CHECKOUT, stack=stack, environment=engine_environment(CHECKOUT, environment=environment, stack=stack)
    )
    run: Callable[[Engine, argparse.Namespace], int] = options.run
    try:
        return run(engine, options)
    except (EngineError, ReviewError, RecordMistake) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def _review(engine: Engine, options: argparse.Namespace) -> int:
    from tools.review import acting  # with all the rules of the policies, which nothing else here needs

    return acting.run(engine, options.base, labels_in(options.labels))


def labels_in(text: str) -> frozenset[str]:
    """Names with commas between them, as CI has them. Pure."""
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.review", description=__doc__)
    parser.add_argument("--stack", required=True)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    reviewing = commands.add_parser("review", help="what this change would do to the stack")
    reviewing.add_argument("--base", required=True, help="what it is to be merged into: a branch, a tag, a commit")
    reviewing.add_argument("--labels", default="", help="of the change, with commas between them")
    reviewing.set_defaults(run=_review)
    drifting = commands.add_parser("drift", help="what is otherwise than the stack's state says")
    drifting.set_defaults(run=lambda engine, _options: drift.run(engine))
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
