"""One line of a stack's estimate: how many units of what, at which price."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Line:
    """``resources``: the types of Pulumi that it is the bill of. ``price``: of a ``unit``; None where it is not known, and
    ``why`` says so. ``idle`` and ``maximum``: units a month."""

    what: str
    resources: tuple[str, ...]
    unit: str
    price: float | None
    idle: float
    maximum: float
    why: str

    @property
    def monthly(self) -> float:
        """US dollars at the minimum."""
        return round((self.price or 0.0) * self.idle, 2)

    @property
    def monthly_maximum(self) -> float:
        return round((self.price or 0.0) * self.maximum, 2)
