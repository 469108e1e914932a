"""Alarms that reach somebody, logs that are kept, a trail of every call."""

from __future__ import annotations

from typing import Final

from policies.rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
