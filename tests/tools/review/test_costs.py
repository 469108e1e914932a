"""What a change costs."""

from __future__ import annotations

import os
import sys

from tools.pulumi.environment import CHECKOUT
from tools.review.costs import Bill, Costs, bill_of


def test_lines_that_came_went_or_moved_are_told_the_largest_first() -> None:
    costs = Costs(
        before=Bill(lines={"same": (5, 5), "gone": (10, 10), "dearer": (1, 2)}),
        after=Bill(lines={"same": (5, 5), "new": (40, 50), "dearer": (1.5, 2)}),
    )
    assert costs.moved == (("new", 40), ("gone", -10), ("dearer", 0.5))
    assert costs.change == 30.5


def test_without_a_base_no_change_is_made_up() -> None:
    costs = Costs(before=None, after=Bill(lines={"new": (40, 50)}))
    assert (costs.change, costs.moved) == (None, ())


def test_a_version_is_asked_by_its_own_program(tmp_path) -> None:
    """Here by this one's, in a folder that has another configuration of the stack."""
    for name in ("app", "infra", "policies", "tools"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    (tmp_path / "stacks").mkdir()
    example = (CHECKOUT / "stacks" / "serverless.example.yaml").read_text(encoding="utf-8")
    environment = {**os.environ, "PULUMI_PYTHON_CMD": sys.executable}
    bills = []
    for more in ("", "  assistant:memorydb:\n    replicas: 0\n"):
        (tmp_path / "stacks" / "Pulumi.serverless.yaml").write_text(example + more, encoding="utf-8")
        bills.append(bill_of(tmp_path, "serverless", environment))
    assert bills[0] and bills[1]
    ((line, difference),) = Costs(before=bills[0], after=bills[1]).moved
    assert "MemoryDB" in line
    assert difference < 0


def test_a_version_that_knows_no_prices_has_no_bill(tmp_path) -> None:
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "__init__.py").touch()
    assert bill_of(tmp_path, "prod", {**os.environ, "PULUMI_PYTHON_CMD": sys.executable}) is None
