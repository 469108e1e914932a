"""Lives of AWS stacks without an account; see :mod:`cloud_stack`."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud_stack import CHECKOUT, CloudStack, make_cloud
from ecs_stand_in import converts, ecs_stand_in

from tools.pulumi.engine import locate
from tools.stack.engine import EngineError


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_runs_that_were_killed() -> None:
    for file in (CHECKOUT / "stacks").glob("Pulumi.test-cloud-*.yaml"):
        number = file.stem.rpartition("-")[2]
        if number.isdecimal() and not Path(f"/proc/{number}").exists():
            file.unlink(missing_ok=True)


@pytest.fixture
def cloud(aws: Any, tmp_path: Path) -> Iterator[Callable[..., CloudStack]]:
    """``cloud("prod", network={…})``: a stack of its own; what is left of it at the end goes with its folder."""
    if locate(os.environ) is None:
        pytest.skip("the Pulumi CLI is not installed: make environment sets it up")

    # moto's tasks never end; on Fargate one makes the model.
    with contextlib.ExitStack() as ends:
        ecs = ends.enter_context(ecs_stand_in())
        converts(ecs, aws.client("s3"))

        def make(profile: Any, **groups: Any) -> CloudStack:
            stack = make_cloud(tmp_path, aws, profile, {"ECS": ecs.url, "CLOUDWATCH_LOGS": ecs.url})
            ends.callback(removed, stack)
            stack.begin(profile, **groups)
            return stack

        yield make


def removed(stack: CloudStack) -> None:
    """The file of its configuration, and the folder that its settings name."""
    with contextlib.suppress(EngineError):  # wrong ones, of a test of that
        shutil.rmtree(CHECKOUT / stack.engine.settings().state_directory, ignore_errors=True)
    stack.remove()


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """A line on the screen at once, also from a process beside others."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(line, file=sys.stderr, flush=True)

    return say
