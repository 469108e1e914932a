"""``python -m tools.doctor --stack STACK``: what ``make doctor`` calls. Exit status as of ``python -m app.doctor``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from app.doctor.examine import NAMES
from app.doctor.finding import Examination, exit_status
from app.doctor.report import as_json, as_text
from infra.settings import ON_AWS
from tools.doctor import aws, local, pods
from tools.pulumi.environment import engine_environment
from tools.stack.assistant import AssistantError
from tools.stack.cluster import find, is_cluster
from tools.stack.engine import Engine, EngineError

CHECKOUT = Path(__file__).resolve().parents[2]
UNABLE = 3


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    options = _options(arguments)
    engine = Engine(
        checkout=CHECKOUT,
        stack=options.stack,
        environment=engine_environment(CHECKOUT, environment=environment, stack=options.stack),
    )
    try:
        examinations = examine(engine, tuple(options.only))
    except (EngineError, AssistantError) as failure:
        print(f"\n{failure}", file=sys.stderr)
        return UNABLE
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return UNABLE
    print(as_json(examinations) if options.json else as_text(examinations, everything=options.all))
    return exit_status(examinations)


def examine(engine: Engine, only: tuple[str, ...]) -> list[Examination]:
    """Raises :class:`AssistantError` or :class:`EngineError` where nothing can be looked at, with what to do."""
    if engine.target() in ON_AWS:
        raise AssistantError(aws.instructions(engine))
    if is_cluster(engine):
        return pods.examine(find(engine), engine, only)
    return local.examine(engine, only)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.doctor", description="What is wrong with a stack, and what to do.")
    parser.add_argument("--stack", default="local")
    parser.add_argument(
        "--only", action="append", choices=NAMES, default=[], metavar="CHECK", help="this check; may be repeated"
    )
    parser.add_argument("--all", action="store_true", help="what is well too, with its evidence")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
