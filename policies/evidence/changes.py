"""The change log: what was committed since the last release, by whom, and which part of the system it touched."""

from __future__ import annotations

from typing import Final

from policies.evidence.repository import MOST_COMMITS, Commit, Repository
from policies.evidence.table import Table

AREAS: Final = ("app", "infra", "policies", "stacks", "requirements", "tools", "tests", "docs")
WAIVERS: Final = "policies/waivers.yaml"


def table(repository: Repository) -> Table:
    return Table(
        name="changes",
        title="Change log",
        columns=("commit", "day", "author", "subject", "touches", "reviewed by", "exceptions"),
        rows=[_row(commit) for commit in repository.commits],
        note=_span(repository),
        empty="No commit since the last tag.",
    )


def _row(commit: Commit) -> tuple[str, ...]:
    changed = "changes the waivers" if WAIVERS in commit.files else ""
    areas = ", ".join(areas_of(commit.files))
    return (commit.id[:12], commit.day, commit.author, commit.subject, areas, commit.reviewed_by, changed)


def areas_of(files: tuple[str, ...]) -> list[str]:
    touched = {file.partition("/")[0] if "/" in file else "" for file in files}
    others = ["other"] if touched - set(AREAS) else []
    return [area for area in AREAS if area in touched] + others


def _span(repository: Repository) -> str:
    since = (
        f"Since {repository.since}."
        if repository.since
        else f"The last {MOST_COMMITS} at most: no tag stands before this commit."
    )
    cut = (
        " The clone is shallow: older commits are missing (fetch the whole history for a release)."
        if repository.shallow
        else ""
    )
    return f"{since}{cut} Reviewed by: as far as the commit says so; approvals given in the forge are recorded there."
