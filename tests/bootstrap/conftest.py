"""These tests take minutes and gigabytes, so they run only when asked for: `make test-bootstrap`, or pytest -m bootstrap."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out unless the expression of -m names them; called with the items of the whole run."""
    expression = str(config.getoption("markexpr"))
    if "bootstrap" in expression and "not bootstrap" not in expression:
        return
    here = Path(__file__).parent
    left_out = [item for item in items if item.path.is_relative_to(here)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.path.is_relative_to(here)]
