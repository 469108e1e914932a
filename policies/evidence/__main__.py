"""``python -m policies.evidence``: what `make evidence` calls. Fails where a release must not go on unnoticed."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import hashlib
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from policies import record, waivers
from policies.enforcement import EnforcementMistake
from policies.evidence import applicability, bundle, repository, sources, statement
from policies.evidence.reading import place_of
from policies.pack import ALL_RULES
from policies.record import Record
from policies.rule import Rule
from policies.state import StateMistake
from tools.stack.assistant import AssistantError
from tools.stack.engine import EngineError

CHECKOUT: Final = Path(__file__).resolve().parents[2]
PLACE: Final = Path(".state") / "evidence"
STACK: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MISTAKES: Final = (
    bundle.BundleMistake,
    repository.RepositoryMistake,
    applicability.ApplicabilityMistake,
    record.RecordMistake,
    StateMistake,
    EnforcementMistake,
    EngineError,
    AssistantError,
)
SHOWN: Final = 20  # findings on the screen; the page has them all


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _make(options, environment)
    except MISTAKES as mistake:
        print(f"\n{mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def _make(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    folder: Path = options.repository.resolve()
    history = repository.read(folder)
    file: Path = options.record or _recorded(options, folder, history, environment)
    seen = record.read(file)
    if not STACK.fullmatch(seen.stack):
        raise bundle.BundleMistake(f"{file} is the record of no stack: it has no resource with a URN")
    register = waivers.read((rule.id for rule in ALL_RULES), _day(seen, file), folder / "policies" / waivers.FILE.name)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    files = bundle.assemble(seen, ALL_RULES, register, applicability.read(), history, digest)
    out: Path = options.out or folder / PLACE / seen.stack
    bundle.write(files, out)
    return _told(seen, ALL_RULES, history.commit, out, len(files))


def _recorded(
    options: argparse.Namespace, folder: Path, history: repository.Repository, environment: Mapping[str, str]
) -> Path:
    """The file that the record was written into. It stays beside the bundle, which names its digest."""
    place = folder / PLACE
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"{options.stack}.record.json"
    if options.state:
        found = sources.exported(options.state, options.stack, ALL_RULES, folder, history.day)
        record.write(dataclasses.replace(found, stand_ins=sources.STAND_INS in environment), file)
    else:
        print(f"Previewing {options.stack}: every rule on every resource", file=sys.stderr, flush=True)
        sources.preview(CHECKOUT, options.stack, environment, file)
    return file


def _day(seen: Record, file: Path) -> datetime.date:
    try:
        return datetime.date.fromisoformat(seen.day)
    except ValueError:
        raise bundle.BundleMistake(f"{file} is of no day: {seen.day[:40]!r}, not one such as 2026-11-25") from None


def _told(seen: Record, rules: Sequence[Rule], commit: str, out: Path, files: int) -> int:
    """The summary on the screen, and the exit code."""
    failed, doubtful = bundle.standing(seen.results, rules)
    counts = Counter(tally.status for tally in statement.tally(rules, seen.results))
    said = ", ".join(f"{counts[status]} {status.value}" for status in statement.Status if counts[status])
    played = ", with stand-ins in AWS' place" if seen.stand_ins else ""
    print(f"Evidence of {seen.project}/{seen.stack} as of {seen.day} ({seen.source}{played}), commit {commit[:12]}")
    print(f"  rules: {said}")
    for word, results in ("fail", failed), ("undetermined", doubtful):
        for result in results[:SHOWN]:
            print(f"  {word}: {result.rule} on {place_of(result.urn)}: {'; '.join(result.reasons)}")
        if len(results) > SHOWN:
            print(f"  {word}: {len(results) - SHOWN} more, in {bundle.PAGE}")
    print(f"  {files} files in {out}: {bundle.PAGE} to read, {bundle.MANIFEST} with the SHA-256 of each")
    if failed or doubtful:
        print("Not fit for a release: mend these, or waive them with a reason (policies/waivers.yaml).", file=sys.stderr)
    return 1 if failed or doubtful else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m policies.evidence", description=__doc__)
    parser.add_argument("--stack", default="local", help="whose preview is taken where neither a record nor a state is given")
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--record", type=Path, metavar="FILE", help="the record of a run of the policy pack")
    given.add_argument("--state", type=Path, metavar="FILE", help="of pulumi stack export --file FILE")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"default: {PLACE}/<stack>")
    parser.add_argument(
        "--repository", type=Path, metavar="DIR", default=CHECKOUT, help="whose history it is; default: this one"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
