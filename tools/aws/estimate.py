"""``make costs STACK=…``: every line of what the stack is going to cost, before anything is made."""

from __future__ import annotations

from infra import costs
from infra.costs import Estimate
from infra.settings import Settings


def show(stack: str, settings: Settings) -> int:
    print(table(costs.estimate(settings, stack)), end="")
    return 0


def table(found: Estimate) -> str:
    """The dearest line first; what has no known price says so. Pure."""
    lines = sorted(found.lines, key=lambda line: -line.monthly)
    width = max(len(line.what) for line in lines)
    rows = [
        f"  {line.what:<{width}}  {_money(line.price, line.monthly)}  {_money(line.price, line.monthly_maximum)}  {line.why}"
        for line in lines
    ]
    heading = f"{found.stack}, US dollars a month: idle, and with every autoscaler at its maximum"
    total = f"  {'altogether':<{width}}  {found.idle:>9.2f}  {found.maximum:>9.2f}"
    return "\n".join([heading, *rows, total, *(f"  {note}" for note in found.notes)]) + "\n"


def _money(price: float | None, value: float) -> str:
    return f"{'unknown':>9}" if price is None else f"{value:>9.2f}"
