"""Where pods live and whom they may talk to."""

from __future__ import annotations

from typing import Final

from policies.rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
