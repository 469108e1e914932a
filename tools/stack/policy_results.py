"""What the policies said in a preview, told once more at its end: one line among hundreds is easily missed."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from policies import record
from policies.evaluation import WAIVERS, Result
from policies.rule import Outcome, Rule
from tools.stack.engine import Engine

STRICT = "ASSISTANT_POLICY_STRICT"  # as policies/__main__.py reads it
SHOWN = 10


@contextlib.contextmanager
def recorded(engine: Engine, *, strict: bool) -> Iterator[tuple[Engine, Path]]:
    """``engine`` with a file for the pack's record, the user's own where one is named."""
    with tempfile.TemporaryDirectory(prefix="assistant-policies-") as folder:
        file = Path(engine.environment.get(record.VARIABLE) or Path(folder) / "record.json")
        asked = {record.VARIABLE: str(file)} | ({STRICT: "1"} if strict else {})
        yield dataclasses.replace(engine, environment={**engine.environment, **asked}), file


def told(file: Path, *, strict: bool) -> str:
    """Empty where the pack came to no end, of which the engine has said enough."""
    from policies.rules import RULES  # late: only a preview needs them all

    try:
        results = record.read(file).results
    except record.RecordMistake:
        return ""
    return summary(results, {rule.id: rule for rule in (*RULES, WAIVERS)}, strict=strict)


def summary(results: Sequence[Result], rules: Mapping[str, Rule], *, strict: bool) -> str:
    """Pure."""
    failed = [result for result in results if result.outcome is Outcome.FAIL and not result.waiver]
    doubtful = [result for result in results if result.outcome is Outcome.UNDETERMINED and not result.waiver]
    grave = [result for result in doubtful if rules[result.rule].is_grave]
    waived = sum(bool(result.waiver) for result in results)
    judged = len({result.rule for result in results})
    lines = [
        f"Policies: {judged} rules gave {len(results)} verdicts: {len(failed)} failed, {waived} waived, "
        f"{len(doubtful)} undetermined, {len(grave)} of these by a critical or high rule."
    ]
    lines += [f"  - {result.rule} {_name(result.urn)}: {'; '.join(result.reasons)}" for result in grave[:SHOWN]]
    if len(grave) > SHOWN:
        lines.append(f"  - … and {len(grave) - SHOWN} more")
    if grave:
        lines.append(
            "They stop this strict preview."
            if strict
            else "A strict preview (STRICT=1) stops at these; an update decides them."
        )
    return "\n".join(lines)


def _name(urn: str) -> str:
    return urn.rpartition("::")[2] or "the stack"
