"""The bundle: every file of it from one record, the repository and the register of waivers. Pure until it is written.

The same input gives the same bytes: nothing asks a clock, and everything is sorted.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from policies.evaluation import Result
from policies.evidence import (
    access_application,
    access_aws,
    access_kubernetes,
    changes,
    exceptions,
    inventory,
    junit,
    oscal,
    sarif,
    statement,
    versions,
)
from policies.evidence.applicability import Entry
from policies.evidence.page import page
from policies.evidence.repository import Repository
from policies.evidence.table import Table
from policies.record import Record
from policies.rule import Outcome, Rule
from policies.waivers import Register

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
PAGE: Final = "index.html"
JUNIT, SARIF, OSCAL = "findings.junit.xml", "findings.sarif", "assessment-results.json"


class BundleMistake(Exception):
    """The bundle cannot be made or written; the message is for the person who asked for it."""


def assemble(
    record: Record,
    rules: Sequence[Rule],
    register: Register,
    entries: Sequence[Entry],
    repository: Repository,
    record_digest: str,
) -> dict[str, bytes]:
    """The files by name. ``record_digest``: SHA-256 of the record's file. Raises :class:`BundleMistake`."""
    unknown = sorted({result.rule for result in record.results} - {rule.id for rule in rules})
    if unknown:
        raise BundleMistake(
            f"The record speaks of the rules {', '.join(unknown)}, which this pack does not have: make record and "
            "bundle with the same version"
        )
    on_aws = any(seen.resource.type.startswith("aws:") for seen in record.resources)
    tallies = statement.tally(rules, record.results)
    rows = statement.statement(entries, tallies, on_aws=on_aws)
    waived = exceptions.table(register, rules, record.results, record.stack, datetime.date.fromisoformat(record.day))
    parts = _parts(record, repository, len(rules))
    commit = repository.commit + ("" if repository.clean else " with changes")
    files: dict[str, bytes] = {
        PAGE: page(record, rows, tallies, waived, parts, commit).encode(),
        f"{statement.NAME}.json": _json({**_about(record, commit), "controls": [row.document() for row in rows]}),
        JUNIT: junit.document(record, tallies).encode(),
        SARIF: _json(sarif.document(record, rules, register, commit)),
        OSCAL: _json(oscal.document(record, rows, register, repository.commit)),
    }
    for table in (statement.table(rows), waived, *(table for _title, tables in parts for table in tables)):
        files[f"{table.name}.csv"] = table.csv().encode()
    for title, tables in parts:
        files[f"{title.lower().replace(' ', '-')}.json"] = _json({table.name: table.objects() for table in tables})
    files[MANIFEST] = _json(_manifest(record, commit, record_digest, files))
    return dict(sorted(files.items()))


def _parts(record: Record, repository: Repository, rules: int) -> tuple[tuple[str, tuple[Table, ...]], ...]:
    seen = record.resources
    return (
        (
            "Access review",
            (*access_aws.tables(seen), *access_kubernetes.tables(seen), access_application.table(repository.roles)),
        ),
        ("Inventory", (inventory.keys(seen), inventory.certificates(seen, record.day), inventory.secrets(seen))),
        ("Versions", (versions.table(record, repository, rules),)),
        ("Changes", (changes.table(repository),)),
    )


def standing(results: Sequence[Result], rules: Sequence[Rule]) -> tuple[list[Result], list[Result]]:
    """Failures, and what is undetermined of critical and high rules, as far as no waiver excuses it."""
    grave = {rule.id for rule in rules if rule.is_grave}
    stand = sorted((result for result in results if result.stands), key=lambda each: (each.rule, each.urn, each.reasons))
    return (
        [result for result in stand if result.outcome is Outcome.FAIL],
        [result for result in stand if result.outcome is Outcome.UNDETERMINED and result.rule in grave],
    )


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """``folder`` holds these files and nothing else afterwards. Raises :class:`BundleMistake` where it is somebody else's."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise BundleMistake(f"{folder} holds something that is no bundle of evidence; name another folder with --out")
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, content in files.items():
        (fresh / name).write_bytes(content)
    if folder.exists():
        shutil.rmtree(folder)
    fresh.rename(folder)


def _about(record: Record, commit: str) -> dict[str, Any]:
    return {
        "project": record.project,
        "stack": record.stack,
        "day": record.day,
        "source": record.source,
        "standIns": record.stand_ins,
        "pack": record.version,
        "commit": commit,
        "standard": "ISO/IEC 27001:2022, Annex A",
        "note": "Evidence for a certification, not a certification.",
    }


def _manifest(record: Record, commit: str, record_digest: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        **_about(record, commit),
        "record": {"sha256": record_digest},
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(files.items())
        },
    }


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
