"""A property that a rule checks is not ignored when it changes: the deployed value would be another than the checked one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from policies.resource import Resource
from policies.rule import PASS, Check, Rule, Severity, Verdict, fail
from policies.rules import links
from policies.show import show

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\d+|\*")  # of ``spec.replicas``, ``tags["Owner"]``, ``rules[0].port``, ``*``


def rule(rules: Sequence[Rule]) -> Rule:
    """The rule over all ``rules`` that name the properties they read."""
    readers = readers_of(rules)

    def not_ignored(resource: Resource) -> Verdict:
        read = readers.get(resource.type, {})
        reasons = []
        for path in resource.ignored_changes:
            covered = sorted({rule_id for name, ids in read.items() if _touches(path, name) for rule_id in ids})
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
        checks=(Check(types=tuple(sorted(readers)), judge=not_ignored),),
    )


def _touches(ignored: str, read: str) -> bool:
    """Does the one path lead to the other, or through it? A rule that reads ``scalingConfig.maxSize`` leaves
    ``scalingConfig.desiredSize`` alone."""
    return all("*" in pair or pair[0] == pair[1] for pair in zip(NAME.findall(ignored), NAME.findall(read), strict=False))


def readers_of(rules: Sequence[Rule]) -> Mapping[str, Mapping[str, set[str]]]:
    """By type and property, the ids of the rules that it decides."""
    readers: dict[str, dict[str, set[str]]] = {}
    for checked in rules:
        for resource_type, properties in checked.reads().items():
            for name in properties:
                readers.setdefault(resource_type, {}).setdefault(name, set()).add(checked.id)
    return readers
