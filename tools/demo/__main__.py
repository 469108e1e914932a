"""``python -m tools.demo PLATFORM``: what ``make demo`` calls."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from app.models import default
from app.models.errors import StoreError
from app.models.store import default_root
from tools.demo import model
from tools.demo.feishu import FeishuStage
from tools.demo.processes import DemoFailed, assistant, last_lines
from tools.demo.scenes import POLL_SECONDS, Scenes, line
from tools.demo.slack import SlackStage
from tools.demo.stage import Stage
from tools.redis import MissingRedisError
from tools.stack.assistant import Assistant, AssistantError

STAGES: Mapping[str, Callable[[], Stage]] = {"slack": SlackStage, "feishu": FeishuStage}
ANSWER_SECONDS = 90.0
USAGE = """\
Which platform? For example: make demo PLATFORM=slack (or feishu)
  STAY=1    stays open after it, and takes what you type
  PLAYED=1  does without the model, also where it is at hand"""


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    options = _parser().parse_args(arguments)
    if options.platform not in STAGES:
        print(USAGE, file=sys.stderr)
        return 2
    begun, stage = time.monotonic(), STAGES[options.platform]()
    found = None if options.played else _model(environment)
    try:
        _introduce(stage, found, options.played)
        with tempfile.TemporaryDirectory(prefix="assistant-demo-") as folder:
            _show(stage, Path(folder), found, stay=options.stay, begun=begun)
    except (DemoFailed, AssistantError, MissingRedisError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing of it is left.", file=sys.stderr)
        return 130
    finally:
        stage.stop()
    return 0


def _show(stage: Stage, folder: Path, found: Path | None, *, stay: bool, begun: float) -> None:
    with assistant(folder, found, stage.environment, lambda text: _say(line("started", text))) as running:
        stage.open(running)
        operator = Assistant(url=running.url, api_key=running.api_key, ca_certificate=running.ca)
        try:
            for scene in Scenes(stage=stage, assistant=operator, say=_say).all():
                scene()
        except DemoFailed as error:
            raise DemoFailed(f"{error}\nThe worker's last lines:\n{last_lines(running.logs / 'worker.log')}") from None
        _say(f"\nAll of it in {time.monotonic() - begun:.0f} s.")
        if stay:
            _talk(stage)
    name = stage.title.lower()
    _say(
        f"Nothing of it is left: processes, queue and keys are gone. With the real {stage.title}: make connect PLATFORM={name}"
    )


def _introduce(stage: Stage, found: Path | None, wished: bool) -> None:
    _say(f"{stage.title} is PLAYED, by {stage.played_by} on this machine; no account is needed, and nothing leaves it.")
    _say("Gateway, queue, worker and Redis are the real ones, started for this alone: a stack of yours is not touched.")
    if found:
        _say(f"The model is the real one, {default.NAME}: small, and what it says is what it says.\n")
    else:
        why = "as you wished" if wished else "as it is not made yet (make up makes it, in minutes)"
        _say(f"The model is PLAYED too, {why}.\n")


def _talk(stage: Stage) -> None:
    """Each line that is typed is what Ada writes, in a chat of two."""
    _say(f"\nYour turn: type what Ada says{f', here or at {stage.page}' if stage.page else ''}; an empty line or ^D ends it.")
    for typed in sys.stdin:
        if not (text := typed.strip()):
            return
        message, begun = stage.talk(text), time.monotonic()
        while not (replies := stage.replies(message)) and time.monotonic() - begun < ANSWER_SECONDS:
            time.sleep(POLL_SECONDS)
        _say(line("assistant", replies[0] if replies else "(no answer came)", time.monotonic() - begun))


def _model(environment: Mapping[str, str]) -> Path | None:
    try:
        return model.in_store(default_root(environment))
    except StoreError:
        return None


def _say(text: str) -> None:
    print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__)
    parser.add_argument("platform", nargs="?", default="", help="slack or feishu")
    parser.add_argument("--stay", action="store_true", help="take lines from standard input afterwards")
    parser.add_argument("--played", action="store_true", help="play the model too")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
