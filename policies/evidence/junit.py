"""The findings as JUnit's XML, which every CI shows: a suite a rule, a case a resource."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree  # writes alone
from collections.abc import Sequence
from typing import Final

from policies.evaluation import Result
from policies.evidence.statement import Tally
from policies.record import Record
from policies.rule import Outcome, Rule

# What XML 1.0 cannot hold at all, escaped or not.
UNPRINTABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
STACK: Final = "(the stack)"


def document(record: Record, tallies: Sequence[Tally]) -> str:
    root = ElementTree.Element("testsuites", name=_text(f"policies of {record.project}/{record.stack}"))
    totals = {"tests": 0, "failures": 0, "skipped": 0}
    for tally in tallies:
        suite = _suite(tally.rule, [result for result in record.results if result.rule == tally.rule.id], record.day)
        root.append(suite)
        totals = {name: total + int(suite.get(name, "0")) for name, total in totals.items()}
    root.attrib.update({name: str(total) for name, total in totals.items()}, errors="0", time="0")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(rule: Rule, results: Sequence[Result], day: str) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_text(rule.policy), timestamp=f"{day}T00:00:00", errors="0", time="0")
    properties = ElementTree.SubElement(suite, "properties")
    about = {"title": rule.title, "severity": rule.severity.value, "controls": rule.reference, "link": rule.link}
    for name, value in about.items():
        ElementTree.SubElement(properties, "property", name=name, value=_text(value))
    cases = [
        _case(rule, result) for result in sorted(results, key=lambda result: (result.urn, result.outcome.value, result.reasons))
    ]
    suite.extend(cases or [_not_exercised(rule)])
    suite.set("tests", str(len(cases) or 1))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set(
        "skipped", str(sum(case.find("skipped") is not None for case in cases) if cases else int(not _speaks_of_files(rule)))
    )
    return suite


def _case(rule: Rule, result: Result) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_text(rule.policy), name=_text(result.urn or STACK), time="0")
    reasons = "\n".join(result.reasons)
    if result.outcome is Outcome.PASS:
        return case
    if result.waiver:
        ElementTree.SubElement(case, "skipped", message=_text(f"waived ({result.waiver}): {reasons}"))
    elif result.outcome is Outcome.FAIL or rule.is_grave:
        failure = ElementTree.SubElement(case, "failure", type=result.outcome.value, message=_text(rule.title))
        failure.text = _text(f"{reasons}\nremedy: {rule.remedy}\nsee: {rule.link}")
    else:
        ElementTree.SubElement(case, "skipped", message=_text(f"undetermined: {reasons}"))
    return case


def _not_exercised(rule: Rule) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_text(rule.policy), name=STACK, time="0")
    if not _speaks_of_files(rule):
        ElementTree.SubElement(
            case, "skipped", message="not exercised: the stack has no resource of the types that the rule reads"
        )
    return case


def _speaks_of_files(rule: Rule) -> bool:
    """Of the pack's own files, and only when something is wrong with them."""
    return not rule.checks and not rule.relations


def _text(text: str) -> str:
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
