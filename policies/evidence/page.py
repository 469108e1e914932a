"""The page for people: one file without anything from elsewhere, to be read, printed and kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final

from policies.evaluation import Result
from policies.evidence.reading import place_of
from policies.evidence.statement import MEANINGS, PART, Row, Status, Tally
from policies.evidence.table import Table
from policies.record import Record
from policies.rule import Outcome, Rule, Severity

SHORT: Final = 24  # characters
LONG: Final = re.compile(r"\S{36,}")
PARTS: Final = re.compile(r"(?<=[/:,_@])(?=\w)")
BREAK: Final = "<wbr>"
STYLE: Final = Path(__file__).with_name("page.css")
IS_NOT: Final = (
    "This is evidence for a certification, not a certification. It shows what the rules read in the resources of one stack on "
    "one day. It does not show that people follow a process, that a provider keeps its promises, that a rule reads everything "
    "that a control asks for, or that an auditor agrees with the Statement of Applicability: the organisation adapts and "
    "approves that."
)
STAND_INS: Final = (
    "Made without an account: the real engine, program and rules ran, and stand-ins answered in AWS' place. Nothing here was "
    "seen in AWS, and nothing is claimed to stand there. For a release, make the bundle where the account can be asked."
)
SOURCES: Final[Mapping[str, str]] = {
    "preview": "a preview: what the next update would bring about, judged before it happens",
    "update": "an update: what the engine brought about, judged as it happened",
    "state": "an exported state: what the engine knows to stand",
}


def page(
    record: Record,
    rows: Sequence[Row],
    tallies: Sequence[Tally],
    register: Table,
    parts: Sequence[tuple[str, Sequence[Table]]],
    commit: str,
) -> str:
    """``parts``: the further sections, each a title and its tables."""
    standing = _worst(tallies)
    title = f"Evidence: {record.project}, stack {record.stack}"
    sections = [
        ("findings", "Findings", _findings(record, tallies)),
        ("statement", "Statement of Applicability", _statement(rows)),
        ("rules", "Rules", _rules(tallies)),
        ("waivers", register.title, _table(register, titled=False)),
        *((_anchor(name), name, "".join(map(_table, tables))) for name, tables in parts),
    ]
    links = "".join(f'<a href="#{anchor}">{escape(name)}</a>' for anchor, name, _content in sections)
    body = "".join(f'<section id="{anchor}"><h2>{escape(name)}</h2>{content}</section>' for anchor, name, content in sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style></head><body>\n"
        f'<header class="{_css(standing)}"><h1>{escape(title)}</h1>'
        f"{_summary(record, rows, tallies, register, standing, commit)}</header>\n<nav>{links}</nav>\n{body}</body></html>\n"
    )


def _worst(tallies: Iterable[Tally]) -> Status:
    order = list(Status)
    return min((tally.status for tally in tallies), key=order.index, default=Status.NOT_EXERCISED)


def _summary(
    record: Record, rows: Sequence[Row], tallies: Sequence[Tally], register: Table, standing: Status, commit: str
) -> str:
    verdict = _verdict(sum(tally.failed for tally in tallies), sum(tally.undetermined for tally in tallies), standing)
    others = _figure("resources", len(record.resources)) + _figure("waivers in force", len(register.rows))
    controls = _figures("controls of Annex A", [row.status for row in rows])
    rules = _figures("rules", [tally.status for tally in tallies], others)
    source = SOURCES.get(record.source, record.source)
    warning = f'<p class="warning">{escape(STAND_INS)}</p>' if record.stand_ins else ""
    return (
        f'<p class="lead">{escape(verdict)}</p>'
        f"<p>As of {escape(record.day)}, commit <span class=code>{escape(commit)}</span>, rule pack {escape(record.version)}, "
        f"from {escape(source)}.</p>{warning}"
        f"{controls}{rules}<p><b>What this is, and what it is not.</b> {escape(IS_NOT)}</p>"
        '<p class="note">Beside this page: the same as CSV and JSON, the findings as JUnit, SARIF and OSCAL, and manifest.json '
        "with the SHA-256 of every file.</p>"
    )


def _verdict(failed: int, doubtful: int, standing: Status) -> str:
    if standing is Status.NOT_EXERCISED:
        return "No rule was exercised."
    unless = " that is not waived" if standing is Status.WAIVED else ""
    said = (
        f"{failed} {'finding stands' if failed == 1 else 'findings stand'} without a waiver"
        if failed
        else f"No finding{unless}"
    )
    return f"{said}; {doubtful} {'result is' if doubtful == 1 else 'results are'} undetermined." if doubtful else f"{said}."


def _figures(whole: str, statuses: Sequence[Status], others: str = "") -> str:
    """How many there are, and how many of each result."""
    counts = Counter(statuses)
    boxes = "".join(_figure(status.value, counts[status], _css(status)) for status in Status if counts[status])
    return f'<div class="figures">{_figure(whole, len(statuses), "whole")}{boxes}{others}</div>'


def _figure(name: str, figure: int, kind: str = "whole") -> str:
    return f'<div class="figure {kind}"><b>{figure}</b>{escape(name)}</div>'


def _findings(record: Record, tallies: Sequence[Tally]) -> str:
    rules = {tally.rule.id: tally.rule for tally in tallies}
    said = sorted(
        (result for result in record.results if result.outcome is not Outcome.PASS),
        key=lambda result: (_urgency(result), *_gravity(rules[result.rule]), result.urn, result.reasons),
    )
    rows = []
    for result in said:
        rule = rules[result.rule]
        status = "waived" if result.waiver else result.outcome.value
        excuse = f"{status} ({result.waiver})" if result.waiver else status
        rows.append(
            f"<tr><td class=code>{escape(rule.id)}</td><td>{escape(rule.severity.value)}</td>"
            f'<td><span class="status {_css(status)}">{escape(excuse)}</span></td><td>{escape(place_of(result.urn))}</td>'
            f"<td>{escape(rule.title)}<br>{'<br>'.join(map(escape, result.reasons))}</td>"
            f"<td>{escape(rule.remedy)}</td><td>{escape(rule.reference)}</td></tr>"
        )
    if not rows:
        return "<p>None: every rule that was exercised passed.</p>"
    return _grid(("rule", "severity", "verdict", "resource", "what", "remedy", "controls"), rows)


def _urgency(result: Result) -> int:
    """Failures first, then doubts, then what is excused."""
    return 2 if result.waiver else int(result.outcome is not Outcome.FAIL)


def _gravity(rule: Rule) -> tuple[int, str]:
    """The gravest first."""
    return (-list(Severity).index(rule.severity), rule.id)


def _statement(rows: Sequence[Row]) -> str:
    counts = Counter(row.status for row in rows)
    key = "".join(
        f'<p class="part"><span class="status {_css(status)}">{escape(status.value)}</span> ({counts[status]}): '
        f"{escape(meaning)}</p>"
        for status, meaning in MEANINGS.items()
    )
    body = []
    for theme, group in groupby(rows, key=lambda row: row.entry.control.theme):
        body.append(f'<tr class="theme"><td colspan="5">{escape(theme.title)}</td></tr>')
        body += [_statement_row(row) for row in group]
    return (
        f'<div class="note"><p>The result is that of the rules. {PART.capitalize()}: what people do and what the provider does '
        f"for the control comes on top, and was not assessed.</p>{key}</div>"
        f"{_grid(('control', 'title', 'applies, and why', 'result', 'how it is met'), body, 'statement')}"
    )


def _statement_row(row: Row) -> str:
    entry = row.entry
    parts = {
        "automated": ", ".join(map(str, row.tallies)),
        "manual": row.manual,
        "inherited": row.inherited,
        "see": ", ".join(entry.see),
    }
    how = "".join(f'<p class="part"><i>{name}:</i> {escape(text)}</p>' for name, text in parts.items() if text)
    applies = "yes" if entry.applicable else "no"
    return (
        f"<tr><td>A.{escape(entry.control.number)}</td><td>{escape(entry.control.title)}</td>"
        f"<td><b>{applies}.</b> {escape(entry.reason)}</td>"
        f'<td><span class="status {_css(row.status)}">{escape(row.status.value)}</span>{_covers(row)}</td><td>{how}</td></tr>'
    )


def _covers(row: Row) -> str:
    return f'<p class="note">{escape(row.covers)}</p>' if row.covers else ""


def _rules(tallies: Sequence[Tally]) -> str:
    rows = [
        f"<tr><td class=code>{escape(tally.rule.id)}</td>"
        f'<td><a href="{escape(tally.rule.link)}">{escape(tally.rule.title)}</a></td>'
        f"<td>{escape(tally.rule.severity.value)}</td><td>{escape(tally.rule.reference)}</td>"
        f'<td><span class="status {_css(tally.status)}">{escape(tally.status.value)}</span></td>'
        f"<td>{tally.passed}</td><td>{tally.failed}</td><td>{tally.undetermined}</td><td>{tally.waived}</td></tr>"
        for tally in tallies
    ]
    return _grid(("rule", "what must hold", "severity", "controls", "result", "pass", "fail", "undetermined", "waived"), rows)


def _table(table: Table, titled: bool = True) -> str:
    title = f"<h3>{escape(table.title)}</h3>" if titled else ""
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    if not table.rows:
        return f"{title}{note}<p>{escape(table.empty)}</p>"
    rows = ["<tr>" + "".join(map(_cell, row)) + "</tr>" for row in table.rows]
    return f"{title}{note}{_grid(table.columns, rows)}"


def _cell(text: str) -> str:
    """Names and days stay whole; ARNs, digests and paths may break where one of their parts ends."""
    if len(text) <= SHORT and not any(letter.isspace() for letter in text):
        return f'<td class="whole-word">{escape(text)}</td>'
    return f"<td>{LONG.sub(lambda word: PARTS.sub(BREAK, word[0]), escape(text))}</td>"


def _grid(columns: Iterable[str], rows: Iterable[str], kind: str = "") -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    opened = f'<table class="{kind}">' if kind else "<table>"
    lines = "\n".join(rows)
    return f'<div class="scroll">{opened}<thead><tr>{head}</tr></thead><tbody>\n{lines}\n</tbody></table></div>'


def _css(status: Status | str) -> str:
    return (status.value if isinstance(status, Status) else status).replace(" ", "-")


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")
