"""``make review``: previews the change, by AWS itself where it can be asked and by stand-ins elsewhere."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.settings import ON_AWS
from policies import enforcement, record
from policies.pack import ALL_RULES
from tools.aws import means
from tools.aws.place import settings_of
from tools.rehearsal.runs import Run
from tools.review import costs, markdown, standing, versions
from tools.review.costs import Costs
from tools.review.document import document
from tools.review.findings import Finding, findings_of
from tools.review.results import results_of
from tools.review.review import Review, review_of
from tools.review.versions import Base
from tools.stack.engine import Engine
from tools.stack.place import place_of

NO_ACCOUNT = (
    "No AWS account was asked: stand-ins answered. What AWS itself would refuse, and what stands there otherwise than the base "
    "says, cannot be seen."
)
FIRST = "Nothing stands yet in what this was compared with, so that replacements and deletions cannot be seen."
OWN_POLICIES = "The change touches the policies that it is held to: {files}. Who reviews it reads them as well."
MOST_FILES = 6


@dataclass(frozen=True, kw_only=True)
class Preview:
    """``blind``: it was compared with nothing."""

    run: Run
    against: str
    costs: Costs | None
    notes: tuple[str, ...]
    blind: bool = False


def run(engine: Engine, base_name: str, labels: frozenset[str]) -> int:
    """Raises :class:`tools.review.errors.ReviewError` or :class:`EngineError` where there is nothing to look at."""
    base = versions.base_of(engine.checkout, base_name)
    results = results_of(engine)
    seen = results / "review.policies.json"
    seen.unlink(missing_ok=True)
    found = _preview(engine, base, results / "review.log", {record.VARIABLE: str(seen)})
    notes = list(found.notes)
    if touched := versions.changed_policies(engine.checkout, base):
        more = len(touched) - MOST_FILES
        named = ", ".join(touched[:MOST_FILES]) + (f" and {more} more" if more > 0 else "")
        notes.append(OWN_POLICIES.format(files=named))
    review = review_of(
        stack=engine.stack,
        against=found.against,
        events=found.run.events,
        failed=found.run.code != 0,
        findings=_findings(seen, engine.stack),
        costs=found.costs,
        labels=labels,
        blind=found.blind,
        notes=notes,
    )
    _write(review, results)
    print(markdown.screen(review), flush=True)
    print(f"  all of it: {results / 'review.md'}, review.json; the preview's screen: review.log", flush=True)
    return int(review.verdict)


def _preview(engine: Engine, base: Base, log: Path, seen: dict[str, str]) -> Preview:
    with tempfile.TemporaryDirectory(prefix="assistant-review-") as name:
        folder = Path(name)
        if engine.target() not in ON_AWS:
            return _as_it_stands(engine, log, seen, None)
        if _without_account(engine):
            compared = standing.against_base(engine, base, folder, log, seen, _say)
            if compared.problem:
                notes = (NO_ACCOUNT, FIRST, f"The base could not be brought up: {compared.problem}")
                return Preview(run=compared.run, against="an empty account", costs=compared.costs, notes=notes, blind=True)
            against = f"the program of {base}, brought up with stand-ins"
            return Preview(run=compared.run, against=against, costs=compared.costs, notes=(NO_ACCOUNT,))
        before = standing.bill_of_base(engine, base, folder)
        return _as_it_stands(engine, log, seen, Costs(before=before, after=_bill(engine, folder)))


def _as_it_stands(engine: Engine, log: Path, seen: dict[str, str], priced: Costs | None) -> Preview:
    """Against the stack's own state: what was deployed last."""
    with place_of(engine).previewed(engine) as prepared:
        _say("previewing the change against the stack as it was deployed")
        done = standing.previewed(prepared, log, seen, _say)
        blind = not _resources(prepared)
    return Preview(
        run=done,
        against="the stack's state: what was deployed last",
        costs=priced,
        notes=(FIRST,) if blind else (),
        blind=blind,
    )


def _resources(engine: Engine) -> list[Any]:
    return list((json.loads(engine.read("stack", "export")).get("deployment") or {}).get("resources") or [])


def _without_account(engine: Engine) -> bool:
    """Whether AWS cannot be worked with from here, and nobody has put stand-ins of their own on the engine's PATH."""
    found = means.find(settings_of(engine), engine.environment, _say)
    if not found.lacking or found.standins:
        return False
    _say("AWS cannot be asked from here:")
    for line in found.lacking:
        _say(f"  - {line}")
    return True


def _bill(engine: Engine, folder: Path) -> costs.Bill | None:
    """Of the change, as it will be once it is merged: without what git ignores, but for the stack's configuration."""
    copy = dataclasses.replace(engine, checkout=folder / "change")
    versions.lay_out_working_tree(engine.checkout, copy.checkout)
    versions.configure(copy, engine.configuration)
    return costs.bill_of(copy.checkout, engine.stack, engine.environment)


def _findings(seen: Path, stack: str) -> tuple[Finding, ...] | None:
    """None where the engine ended before the policies had seen everything: then its own words say why."""
    if not seen.exists():
        return None
    level = enforcement.read().of(stack).level
    return findings_of(record.read(seen).results, {rule.id: rule for rule in ALL_RULES}, level)


def _write(review: Review, results: Path) -> None:
    (results / "review.md").write_text(markdown.comment(review), encoding="utf-8")
    text = json.dumps(document(review), indent=2, ensure_ascii=False)
    (results / "review.json").write_text(f"{text}\n", encoding="utf-8")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
