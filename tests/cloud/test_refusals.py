"""What is wrong is refused before anything is made, in words, by the engine as well as by `make`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cloud_stack import CloudStack

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("one"), pytest.mark.timeout(300)]
OPEN = {"deployerCidrs": ["0.0.0.0/0"]}
OVERLAPPING = {"cidr": "10.20.0.0/16", "peers": ["10.20.128.0/17"]}


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"eks": OPEN}, ("assistant:eks.deployerCidrs", "0.0.0.0/0")),
        ({"network": OVERLAPPING}, ("10.20.0.0/16", "10.20.128.0/17", "overlap")),
    ],
)
def test_wrong_settings_make_nothing(cloud: Callable[..., CloudStack], groups: dict[str, Any], words: tuple[str, ...]) -> None:
    stack = cloud("prod")
    stack.configure(**groups)
    run = stack.pulumi("up", "--yes", "--skip-preview")
    assert run.code != 0
    assert all(word in run.screen for word in words), run.screen
    assert "Traceback" not in run.screen, run.screen
    assert stack.leftovers() == []
    assert stack.objects() == []
    made = [name for name in run.changed if not name.startswith("assistant-test-cloud-")]  # the stack itself
    assert made == []
