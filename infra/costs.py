"""What a stack on AWS costs a month, from its settings alone: no account, no network, before anything is made. Pure.

``idle`` is the stack at the minimum of its autoscalers without a message; ``maximum`` is every autoscaler at its maximum for
the whole month, with much traffic. What is billed by traffic is small beside what is billed by the hour, and assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from infra import prices
from infra.cost_line import Line
from infra.cost_of_base import base_lines
from infra.cost_of_compute import eks_lines, fargate_lines
from infra.prices import PRICES_OF
from infra.settings import Settings

# A small team's stack; :meth:`Estimate.above` says what makes one cost more.
IDLE_GOAL = 200.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """``priced_as`` and ``factor``: whose prices were taken, and times what. ``notes``: what the figures do not say."""

    stack: str
    region: str
    priced_as: str
    factor: float
    of: date
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def idle(self) -> float:
        return round(sum(line.monthly for line in self.lines), 2)

    @property
    def maximum(self) -> float:
        return round(sum(line.monthly_maximum for line in self.lines), 2)

    @property
    def total(self) -> float:
        """What is exported: the stack as it stands without load."""
        return self.idle

    def above(self, goal: float = IDLE_GOAL) -> tuple[Line, ...]:
        """The lines, the dearest first, without which the stack would cost no more than ``goal`` when idle; none if it does."""
        over, found = self.idle - goal, []
        for line in sorted(self.lines, key=lambda line: -line.monthly):
            if over <= 0:
                break
            found.append(line)
            over -= line.monthly
        return tuple(found)


def estimate(settings: Settings, stack: str) -> Estimate:
    region = settings.aws.region
    for prefix, reason in prices.UNPRICED_PARTITIONS.items():
        if region.startswith(prefix):
            return _unpriced(region, stack, reason)
    if region in prices.REGIONS:
        base, factor = region, 1.0
    elif region in prices.NEAREST:
        base, factor = prices.NEAREST[region].region, prices.NEAREST[region].factor
    else:
        return _unpriced(region, stack, f"no prices are known here for {region}")
    listed = prices.REGIONS[base]
    compute = fargate_lines if settings.target == "fargate" else eks_lines
    billed = (*base_lines(settings, stack, listed), *compute(settings, listed))
    lines = tuple(_scaled(line, factor) for line in billed if line.idle or line.maximum)
    notes = [f"List prices of {base} as of {PRICES_OF:%B %Y}, without taxes, free tiers, discounts and support."]
    if factor != 1:
        notes.append(f"{region} is not listed here: the prices of {base} times {factor:g}.")
    notes += [f"Not included: {line.what}. {line.why}" for line in lines if line.price is None]
    return Estimate(stack=stack, region=region, priced_as=base, factor=factor, of=PRICES_OF, lines=lines, notes=tuple(notes))


def _unpriced(region: str, stack: str, reason: str) -> Estimate:
    notes = (f"Unpriced: {reason}.",)
    return Estimate(stack=stack, region=region, priced_as="", factor=0.0, of=PRICES_OF, lines=(), notes=notes)


def _scaled(line: Line, factor: float) -> Line:
    price = None if line.price is None else line.price * factor
    return Line(**{**vars(line), "price": price})
