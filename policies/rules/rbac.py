"""Kubernetes' RBAC: no wildcard, no way up, no reading of every secret."""

from __future__ import annotations

from typing import Final

from policies.rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
