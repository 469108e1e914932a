"""A review as a comment on a pull request, and in a few lines for a screen. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from policies.rule import Outcome
from tools.review.changes import Change, Kind, name_of, type_of
from tools.review.costs import Costs
from tools.review.findings import Finding
from tools.review.review import LABEL, Review, Verdict

LONGEST = 60_000  # characters; GitHub takes 65,536
MOST_CHANGES = 150
MOST_FINDINGS = 40
MOST_COSTS = 8
LAST_LINES = 8  # of what a refusal says
SIGNS = {Kind.CREATE: "+", Kind.UPDATE: "~", Kind.REPLACE: "!", Kind.DELETE: "-"}
DONE = {Kind.CREATE: "create", Kind.UPDATE: "update", Kind.REPLACE: "replace", Kind.DELETE: "delete"}


def marker(stack: str) -> str:
    """The first line, by which CI finds its own comment again."""
    return f"<!-- assistant-review: {stack} -->"


def comment(review: Review) -> str:
    """The diff is the last part, and what does not fit is left out of it, said so."""
    head = "\n\n".join(
        part
        for part in (
            marker(review.stack),
            f"### `{review.stack}`: {headline(review)}",
            f"Compared with {review.against}.",
            *(f"> {note}" for note in review.notes),
            _refusals(review.refusals),
            _blast_radius(review),
            _findings(review.findings),
            _costs(review.costs),
        )
        if part
    )
    return f"{head}\n\n{_diff(review.changes, LONGEST - len(head))}\n"


def headline(review: Review) -> str:
    counts = ", ".join(f"{number} to {DONE[kind]}" for kind, number in review.counted().items()) or "nothing changes"
    if review.unchanged:
        counts += f", {review.unchanged} unchanged"
    if review.verdict is Verdict.FAILED:
        why = "the engine refuses" if review.refusals else _number(len(review.failing), "policy finding")
        return f"{counts}. **Failed: {why}.**"
    if review.verdict is Verdict.NEEDS_LABEL:
        return f"{counts}. **Needs the label `{LABEL}`.**"
    return f"{counts}." + (f" The label `{LABEL}` is given." if review.blast_radius else "")


def screen(review: Review) -> str:
    """What a person at a terminal is told; the rest stands in the file."""
    lines = [f"{review.stack}: {headline(review).replace('**', '').replace('`', '')}", f"  compared with {review.against}"]
    lines += [f"  note: {note}" for note in review.notes]
    lines += [f"  refused: {line}" for text in review.refusals for line in text.splitlines()[-LAST_LINES:]]
    lines += [f"  blast radius: {hit.name} ({hit.type}) {hit.what}; lost: {hit.loss}" for hit in review.blast_radius]
    for one in review.findings or ():
        says = "; ".join(one.reasons) or one.title
        lines.append(f"  {_level(one).replace('**', '')}: {one.rule} {_place(one.urn)}: {says}")
    lines += [f"  cost: {line}" for line in _money(review.costs)]
    return "\n".join(lines)


def _refusals(refusals: Sequence[str]) -> str:
    if not refusals:
        return ""
    texts = "\n".join("\n".join(text.splitlines()[-LAST_LINES:]) for text in refusals)
    return f"#### The engine refuses\n\n{fenced(texts)}"


def _blast_radius(review: Review) -> str:
    if not review.blast_radius:
        # Of a preview that ended early, or that had nothing to compare with, it would be a guess.
        seen = not (review.blind or review.refusals)
        return "Nothing that holds data or is protected is deleted or replaced." if seen else ""
    rows = [f"| {_code(hit.name)} | {_code(hit.type)} | {_cell(hit.what)} | {_cell(hit.loss)} |" for hit in review.blast_radius]
    return "\n".join(["#### Blast radius", "", "| resource | type | what happens | what is lost |", "|---|---|---|---|", *rows])


def _findings(findings: Sequence[Finding] | None) -> str:
    if not findings:
        return "Policies: nothing found." if findings is not None else "Policies: not asked; the preview ended before."
    shown, more = findings[:MOST_FINDINGS], len(findings) - MOST_FINDINGS
    rows = [_finding(one) for one in shown]
    heading = ["#### Policies", "", "| | rule | resource | says | remedy |", "|---|---|---|---|---|"]
    rest = [f"\n… and {more} more, in the artefact."] if more > 0 else []
    return "\n".join([*heading, *rows, *rest])


def _finding(one: Finding) -> str:
    rule = f"{one.rule} {one.title} (A.{', A.'.join(one.controls)})" if one.controls else f"{one.rule} {one.title}"
    says = f"{one.outcome.value}: {'; '.join(one.reasons)}" if one.reasons else one.outcome.value
    return f"| {_level(one)} | {_cell(rule)} | {_code(_place(one.urn))} | {_cell(says)} | {_cell(one.remedy)} |"


def _level(one: Finding) -> str:
    if one.waiver:
        return f"waived ({one.waiver})"
    if one.fails:
        return "**fails**" if one.outcome is Outcome.FAIL else "**undecided**"
    return one.severity.value


def _place(urn: str) -> str:
    return f"{name_of(urn)} ({type_of(urn)})" if urn else "the stack"


def _costs(costs: Costs | None) -> str:
    return "\n".join(["#### Cost", "", *(f"- {_cell(line)}" for line in _money(costs))]) if costs and costs.after else ""


def _money(costs: Costs | None) -> list[str]:
    """US dollars a month."""
    if costs is None or costs.after is None:
        return []
    idle, maximum = costs.after.idle, costs.after.maximum
    total = f"{idle:,.2f} US dollars a month when idle, {maximum:,.2f} at every maximum"
    if costs.before is None or costs.change is None:
        return [f"{total}; what the base costs could not be asked"]
    if not costs.moved:
        return [f"{total}, as before"]
    moved = [f"{difference:+,.2f} {name}" for name, difference in costs.moved[:MOST_COSTS]]
    return [f"{total}: {costs.change:+,.2f} against {costs.before.idle:,.2f}", *moved]


def _diff(changes: Sequence[Change], room: int) -> str:
    if not changes:
        return ""
    entries: list[str] = []
    used = 0
    for change in changes:
        entry = "\n".join(_entry(change))
        if len(entries) == MOST_CHANGES or used + len(entry) > room - 1000:
            break
        entries.append(entry)
        used += len(entry) + 1
    left = len(changes) - len(entries)
    rest = f"\n\n… and {left} more, in the artefact." if left else ""
    title = f"Changes, resource by resource ({len(changes)})"
    return f"<details><summary>{title}</summary>\n\n{fenced(chr(10).join(entries), 'diff')}{rest}\n\n</details>"


def _entry(change: Change) -> Iterable[str]:
    """Lines that a diff's colours suit: a sign before what is done, and before each value."""
    yield f"{SIGNS[change.kind]} {DONE[change.kind]} {change.type} {change.name}"
    for entry in change.properties:
        yield f"      {entry.path}{' (replaces)' if entry.replaces else ''}"
        yield from (f"{line[0]}         {line[2:]}" for line in entry.lines)


def fenced(text: str, language: str = "") -> str:
    """A block that nothing in ``text`` ends before its time."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _code(text: str) -> str:
    return f"`{_cell(text.replace('`', chr(39)))}`"


def _cell(text: str) -> str:
    """One cell, or one item, of plain text: no markup of whoever named a resource or wrote a reason, and nobody is called."""
    flat = " ".join(text.split())
    return re.sub(r"([|<>@\[\]])", r"\\\1", flat).replace("\\@", "@\u200b")


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
