"""``python -m app.telemetry.audit``: look whether an audit log is whole, and print the heads that it is held against.

``verify`` reads the files of AUDIT_DIRECTORY or of ``--directory``, or the logs that are named (``-``: standard input), in
which records stand among other lines. ``--heads`` compares them with what is anchored: in Redis, by the settings that a process
of the application has, or in a file that ``heads`` once printed. Exit status: 0 whole, 1 flaws, 2 wrong usage, or nothing could
be read.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.pipeline.redis_client import connect
from app.settings import RedisSettings, SettingsError, load
from app.telemetry.audit.heads import Anchored, HeadsUnavailable, RedisHeads, from_json, to_json
from app.telemetry.audit.sinks import SUFFIX
from app.telemetry.audit.verify import Finding, Verification, lines_of

FLAWED, UNUSABLE = 1, 2
STANDARD_INPUT = "-"


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        if options.command == "heads":
            print(to_json(_anchored(os.environ)))
            return 0
        return _verify(options)
    except SettingsError as error:
        print(f"wrong settings:\n{error}", file=sys.stderr)
    except HeadsUnavailable as error:
        print(f"the heads cannot be read: {error}", file=sys.stderr)
    except OSError as error:
        print(f"{error.filename}: cannot be read ({error.strerror})", file=sys.stderr)
    return UNUSABLE


def _verify(options: argparse.Namespace) -> int:
    # Before the records: those that are written meanwhile are then beyond the head, and not before it.
    anchored = _heads(options.heads)
    verification = Verification(anchored, partial=options.partial)
    if options.files:
        for name in options.files:
            _read(verification, name, mixed=True)
    else:
        folder = options.directory or _directory(os.environ)
        # A writer's files sort by day.
        for path in sorted(folder.iterdir()):
            if path.suffix == SUFFIX:
                _read(verification, str(path), mixed=False)
    verification.finish()
    print(report(verification, anchored=anchored is not None))
    return FLAWED if verification.flaws else 0


def report(verification: Verification, *, anchored: bool) -> str:
    counted = f"{_many(verification.records, 'record')} of {_many(verification.writers, 'writer')}"
    older = f"\n{_many(verification.older, 'writer')} stopped before these heads were begun: compared with none."
    note = older if verification.older else ""
    if not verification.flaws:
        beside = "as far as each head is anchored" if anchored else "compared with no heads: a cut end would not be seen"
        return f"{counted}, unbroken ({beside}).{note}"
    unnamed = verification.flaws - len(verification.findings)
    more = f"\n… and {unnamed} more" if unnamed else ""
    return f"{table(verification.findings)}{more}\n\n{_many(verification.flaws, 'flaw')} in {counted}.{note}"


def table(findings: Sequence[Finding]) -> str:
    rows = [("FLAW", "WRITER", "SEQ", "WHERE", "")]
    rows += [(finding.flaw.value, finding.writer or "?", finding.seq, finding.place, finding.words) for finding in findings]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join((*map(str.ljust, row, widths), row[4])).rstrip() for row in rows)


def _read(verification: Verification, name: str, *, mixed: bool) -> None:
    if name == STANDARD_INPUT:
        verification.read("standard input", lines_of(sys.stdin.buffer), mixed=mixed)
        return
    with Path(name).open("rb") as file:
        verification.read(name, lines_of(file), mixed=mixed)


def _heads(where: str) -> Anchored | None:
    if where == "none":
        return None
    return _anchored(os.environ) if where == "redis" else from_json(Path(where).read_text(encoding="utf-8", errors="replace"))


def _anchored(environment: Mapping[str, str]) -> Anchored:
    settings = load(RedisSettings, environment)

    async def read() -> Anchored:
        client = connect(settings)
        try:
            return await RedisHeads(client).anchored()
        finally:
            await client.close()

    return asyncio.run(read())


def _directory(environment: Mapping[str, str]) -> Path:
    if text := environment.get("AUDIT_DIRECTORY"):
        return Path(text)
    raise SettingsError("AUDIT_DIRECTORY is not set: name --directory, or the exported logs that hold the records")


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app.telemetry.audit", description="Is the audit log whole?")
    commands = parser.add_subparsers(dest="command", required=True)
    verifying = commands.add_parser("verify", help="read records, name what is wrong with them")
    verifying.add_argument("files", nargs="*", metavar="FILE", help="logs with records among other lines; - is standard input")
    verifying.add_argument("--directory", type=Path, help="of record files (default: AUDIT_DIRECTORY)")
    verifying.add_argument("--heads", default="none", metavar="redis|FILE|none", help="compare with these (default: none)")
    verifying.add_argument(
        "--partial", action="store_true", help="a part of a log: chains may begin anywhere, writers may be absent"
    )
    commands.add_parser("heads", help="print the heads in Redis as JSON, to be put away")
    options = parser.parse_args(arguments)
    if options.command == "verify" and options.files and options.directory:
        parser.error("name --directory or files, not both")
    return options


if __name__ == "__main__":
    sys.exit(main())
