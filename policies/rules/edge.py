"""The way in: load balancer, listeners, target groups, web firewall, certificate."""

from __future__ import annotations

from typing import Final

from policies.rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
