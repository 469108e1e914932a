"""A property that a rule checks is not ignored when it changes: the deployed value would be another than the checked one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from policies.resource import Resource
from policies.rule import PASS, Rule, Severity, Verdict, fail
from policies.rules import links
from policies.show import show

FIRST_NAME = re.compile(r"""^\[?["']?([A-Za-z_][A-Za-z0-9_]*)""")


def rule(rules: Sequence[Rule]) -> Rule:
    """The rule over all ``rules`` that name the properties they read."""
    types = sorted({resource_type for checked in rules for resource_type in checked.types})

    def not_ignored(resource: Resource) -> Verdict:
        reasons = []
        for path in resource.ignored_changes:
            first = FIRST_NAME.match(path)
            covered = [
                checked.id
                for checked in rules
                if checked.types
                and checked.reads(resource.type)
                and (path.startswith("*") or (first and first[1] in checked.properties))
            ]
            if covered:
                reasons.append(f"ignoreChanges has {show(path)}, which {', '.join(covered)} checks")
        return fail(*reasons) if reasons else PASS

    return Rule(
        id="R75",
        name="checked-properties-not-ignored",
        title="ignoreChanges covers no property that a rule checks",
        severity=Severity.HIGH,
        controls=("8.32", "8.9"),
        remedy="take the property out of ignore_changes: what is deployed must be what was checked",
        link=links.IGNORE_CHANGES,
        types=tuple(types),
        check=not_ignored,
    )
