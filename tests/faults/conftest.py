"""Assistants in real processes, on a Redis that a test may break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet, Model


@pytest.fixture
def model() -> Iterator[Model]:
    running = Model()
    yield running
    running.close()


@pytest.fixture
def start(private_redis: Any, model: Model, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """``start(**options)`` an assistant and wait until it is ready; its processes are killed at the end."""
    running: list[Fleet] = []

    def launch(**options: Any) -> Fleet:
        fleet = Fleet(private_redis, model, tmp_path, **options)
        running.append(fleet)
        fleet.wait_ready()
        return fleet

    yield launch
    for fleet in running:
        fleet.close()
