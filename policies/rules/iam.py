"""IAM policies and trust: nobody may do everything, and nobody may come to."""

from __future__ import annotations

from typing import Final

from policies.rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
