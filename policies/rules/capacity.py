"""Requests and limits, bounds of what scales, spread and disruption budgets."""

from __future__ import annotations

from typing import Final

from policies.rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
