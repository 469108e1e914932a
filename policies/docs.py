"""The table of the rules in docs/policies.md, made of the rules themselves: ``python -m policies.docs`` writes it anew."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from policies.evaluation import WAIVERS
from policies.rule import Rule, Severity
from policies.rules import RULES

FILE: Final = Path(__file__).parents[1] / "docs" / "policies.md"
BEGIN: Final = "<!-- the rules: python -m policies.docs -->"
END: Final = "<!-- the end of the rules -->"
HEAD: Final = ("Rule", "Severity", "What must hold", "Controls", "Read", "You may set")


def table(rules: Iterable[Rule]) -> str:
    """Markdown. Pure."""
    rows = [HEAD, tuple("---" for _ in HEAD), *(_row(rule) for rule in sorted(rules, key=_place))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _place(rule: Rule) -> tuple[int, str]:
    return "RLAW".index(rule.id[0]), rule.id


def _row(rule: Rule) -> tuple[str, ...]:
    severity = f"**{rule.severity.value}**" if rule.severity is Severity.CRITICAL else rule.severity.value
    when = [*(["inputs"] if rule.checks else []), *(["stack"] if rule.relations else [])]
    may = [*(f"`{name}`" for name in rule.schema), *(["`remediate`"] if rule.remediation else [])]
    return rule.policy, severity, rule.title, ", ".join(rule.controls), ", ".join(when), ", ".join(may)


def with_table(text: str, rules: Iterable[Rule]) -> str:
    """``text`` with the table between its marks. Raises ValueError where they are missing. Pure."""
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the marks {BEGIN} and {END} are missing")
    return f"{before}{BEGIN}\n{table(rules)}\n{END}{after}"


if __name__ == "__main__":
    FILE.write_text(with_table(FILE.read_text(encoding="utf-8"), (*RULES, WAIVERS)), encoding="utf-8")
