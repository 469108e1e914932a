"""Where what was found is written: beside the stacks' own folders below ``.state``, which are theirs alone."""

from __future__ import annotations

from pathlib import Path

from tools.pulumi.environment import STATE
from tools.stack.engine import Engine

FOLDER = "reviews"


def results_of(engine: Engine) -> Path:
    """The folder of this stack's review and drift; made where it is not there yet."""
    folder = engine.checkout / STATE / FOLDER / engine.stack
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
