"""The task library and the roles of the application, judged as they are going to be read."""

from __future__ import annotations

from typing import Final

from policies.rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
