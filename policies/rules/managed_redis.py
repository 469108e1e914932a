"""MemoryDB: authentication, encryption, failover, snapshots, and who reaches it."""

from __future__ import annotations

from typing import Final

from policies.rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
