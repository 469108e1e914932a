"""Lives of AWS stacks without an account; see :mod:`cloud_stack`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud_stack import CHECKOUT, CloudStack, make_cloud
from ecs_stand_in import converts, ecs_stand_in

from tools.pulumi.engine import locate


@pytest.fixture
def cloud(aws: Any, tmp_path: Path) -> Iterator[Callable[..., CloudStack]]:
    """``cloud("prod", network={…})``: a stack of its own; what is left of it at the end goes with its folder."""
    import os

    if locate(os.environ) is None:
        pytest.skip("the Pulumi CLI is not installed: make environment sets it up")
    made: list[CloudStack] = []

    # moto's tasks never end; on Fargate one makes the model.
    with ecs_stand_in() as ecs:
        converts(ecs, aws.client("s3"))

        def make(profile: Any, **groups: Any) -> CloudStack:
            made.append(make_cloud(tmp_path, aws, profile, {"ECS": ecs.url, "CLOUDWATCH_LOGS": ecs.url}, **groups))
            return made[-1]

        yield make
    for stack in made:
        state = CHECKOUT / stack.engine.settings().state_directory  # nobody knows without the configuration, which goes first
        stack.remove()
        shutil.rmtree(state, ignore_errors=True)
