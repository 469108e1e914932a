"""Lives of AWS stacks without an account; see :mod:`cloud_stack`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud_stack import CHECKOUT, CloudStack, make_cloud

from tools.pulumi.engine import locate


@pytest.fixture
def cloud(aws: Any, tmp_path: Path) -> Iterator[Callable[..., CloudStack]]:
    """``cloud("prod", network={…})``: a stack of its own; what is left of it at the end goes with its folder."""
    import os

    if locate(os.environ) is None:
        pytest.skip("the Pulumi CLI is not installed: make environment sets it up")
    made: list[CloudStack] = []

    def make(profile: Any, **groups: Any) -> CloudStack:
        made.append(make_cloud(tmp_path, aws, profile, **groups))
        return made[-1]

    yield make
    for stack in made:
        stack.remove()
        shutil.rmtree(CHECKOUT / stack.engine.settings().state_directory, ignore_errors=True)
