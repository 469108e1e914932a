"""The rules, one module a theme. Adding one: write it in its theme's module and name it here."""

from __future__ import annotations

from typing import Final

from policies.rule import Rule, StackRule
from policies.rules import application, certificate, changes, model, network, process, redis, secret_files, secret_values

_CHECKED: Final[tuple[Rule, ...]] = (
    *secret_values.RULES,
    *secret_files.RULES,
    *redis.RULES,
    *network.RULES,
    *process.RULES,
    *application.RULES,
    *model.RULES,
    *certificate.RULES,
)
RULES: Final[tuple[Rule, ...]] = (*_CHECKED, changes.rule(_CHECKED))
STACK_RULES: Final[tuple[StackRule, ...]] = (*secret_values.STACK_RULES, *secret_files.STACK_RULES)
