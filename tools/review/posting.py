"""``python -m tools.review.posting comment|issue FOLDER``: puts reports where people read them, through GitHub's own ``gh``.

Each report begins with a hidden line that names it; what begins with the same line is renewed and not written again. Runs with
nothing but Python, for it stands in jobs that may write to a repository and therefore run as little as can be.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MARKER = re.compile(r"<!-- (assistant-(?:review|drift)): ([a-z0-9.-]{1,100}) -->")
AUTHOR = "github-actions[bot]"
NOTHING = "is as its state says."
LONGEST = 65_000  # characters, less than GitHub's 65,536


class PostingError(Exception):
    """The message says what could not be put where."""


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    if len(arguments) != 2 or arguments[0] not in ("comment", "issue"):
        print(__doc__, file=sys.stderr)
        return 2
    reports = [file.read_text(encoding="utf-8") for file in sorted(Path(arguments[1]).rglob("*.md"))]
    try:
        repository = _required(environment, "GITHUB_REPOSITORY")
        for report in reports:
            if arguments[0] == "comment":
                comment(repository, _required(environment, "PULL_REQUEST"), report)
            else:
                issue(repository, report)
    except PostingError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(reports)} report{'' if len(reports) == 1 else 's'} posted")
    return 0


def comment(repository: str, number: str, report: str) -> None:
    """One comment a report on the pull request."""
    if not number.isdecimal():
        raise PostingError(f"PULL_REQUEST is the number of one, not {number[:40]!r}")
    where = f"repos/{repository}/issues/{number}/comments"
    own = _own(_listed(f"{where}?per_page=100"), marker_of(report))
    if own is None:
        _gh(where, "POST", {"body": report[:LONGEST]})
    else:
        _gh(f"repos/{repository}/issues/comments/{own['id']}", "PATCH", {"body": report[:LONGEST]})


def issue(repository: str, report: str) -> None:
    """One open issue a stack while it drifts; closed when it does not any more."""
    marker = marker_of(report)
    stack = _matched(report)[2]
    own = _own(_listed(f"repos/{repository}/issues?state=open&creator={AUTHOR}&per_page=100"), marker)
    if NOTHING in report:
        if own is not None:
            _gh(f"repos/{repository}/issues/{own['number']}", "PATCH", {"state": "closed"})
        return
    text = {"title": f"{stack} is not as its state says", "body": report[:LONGEST]}
    if own is None:
        _gh(f"repos/{repository}/issues", "POST", text)
    else:
        _gh(f"repos/{repository}/issues/{own['number']}", "PATCH", text)


def marker_of(report: str) -> str:
    """The first line. Raises :class:`PostingError` for what is no report of ours. Pure."""
    return _matched(report)[0]


def _matched(report: str) -> re.Match[str]:
    found = MARKER.match(report)
    if found is None:
        raise PostingError("a report begins with the hidden line that names it, and this one does not; it is not posted")
    return found


def _own(entries: Sequence[Mapping[str, Any]], marker: str) -> Mapping[str, Any] | None:
    """Ours alone: anybody may begin a comment like this. Pure."""
    for entry in entries:
        if str((entry.get("user") or {}).get("login")) == AUTHOR and str(entry.get("body") or "").startswith(marker):
            return entry
    return None


def _listed(path: str) -> list[Mapping[str, Any]]:
    pages = json.loads(_run(["gh", "api", "--paginate", "--slurp", path]) or "[]")
    return [entry for page in pages for entry in page]


def _gh(path: str, method: str, body: Mapping[str, str]) -> None:
    _run(["gh", "api", "--method", method, "--input", "-", "--silent", path], json.dumps(body))


def _run(command: list[str], text: str = "") -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PostingError("gh, GitHub's command line, is not on PATH: https://cli.github.com") from None
    if done.returncode:
        raise PostingError(f"{' '.join(command[:3])} …: {done.stderr.strip()[-500:]}")
    return done.stdout


def _required(environment: Mapping[str, str], name: str) -> str:
    if not (value := environment.get(name, "").strip()):
        raise PostingError(f"{name} is not set; docs/ci.md says what a job hands over")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
