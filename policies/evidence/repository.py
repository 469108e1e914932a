"""What the repository contributes: its history, and the files that pin what the stack is made of. Reads; changes nothing."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from policies.evidence.access_application import FILE as ROLES

LOCKS: Final = ("requirements/*.lock", "tools/pulumi/go.lock", "tools/pulumi/go.sum")
LOCKED: Final = "requirements/development.lock"
# What decides how the stack is made and judged.
PINNED: Final = ("pulumi", "pulumi-aws", "pulumi-docker-build", "pulumi-kubernetes", "pulumi-policy")
PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
DOCKERFILE: Final = "app/Dockerfile"
BASE: Final = re.compile(r"^ARG BASE_(NAME|DIGEST)=(\S+)", re.MULTILINE)
MOST_COMMITS: Final = 200  # where no tag says what was released last
FIELD, RECORD = "\x1f", "\x1e"
# %cs and the names of files do not depend on the reader's clock, language or settings.
FORMAT: Final = RECORD + FIELD.join(("%H", "%cs", "%an", "%s", "%(trailers:key=Reviewed-by,valueonly,separator=%x2C )"))
STEADY: Final = ("-c", "core.quotePath=false", "-c", "log.showSignature=false", "-c", "i18n.logOutputEncoding=UTF-8")


class RepositoryMistake(Exception):
    """The folder is no repository that can be read; the message is for the person who named it."""


@dataclass(frozen=True)
class Commit:
    """``day``: when it was committed, as the committer's clock and zone had it."""

    id: str
    day: str
    author: str
    subject: str
    reviewed_by: str
    files: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Repository:
    """``since``: the tag after which ``commits`` begin, empty where there is none. ``locks``: SHA-256 by path."""

    commit: str
    day: str
    clean: bool
    shallow: bool
    since: str
    commits: Sequence[Commit]
    locks: Mapping[str, str] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    base_image: str = ""
    roles: Any = None


def read(folder: Path) -> Repository:
    """Raises :class:`RepositoryMistake`."""
    commit, day = _git(folder, "log", "-1", "--no-show-signature", "--format=%H %cs").split()
    since = _tag(folder)
    span = [f"{since}..HEAD"] if since else [f"--max-count={MOST_COMMITS}"]
    listed = _git(
        folder, "log", "--no-mailmap", "--no-renames", "--name-only", "--diff-merges=first-parent", f"--format={FORMAT}", *span
    )
    return Repository(
        commit=commit,
        day=day,
        clean=not _git(folder, "status", "--porcelain").strip(),
        shallow=_git(folder, "rev-parse", "--is-shallow-repository").strip() == "true",
        since=since,
        commits=commits_of(listed),
        locks={
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for pattern in LOCKS
            for path in sorted(folder.glob(pattern))
        },
        pins=pins_of(_text(folder / LOCKED)),
        base_image=base_image_of(_text(folder / DOCKERFILE)),
        roles=_yaml(folder / ROLES),
    )


def commits_of(listed: str) -> tuple[Commit, ...]:
    """From the output of ``git log`` in :data:`FORMAT`."""
    commits = []
    for record in listed.split(RECORD)[1:]:
        head, _, files = record.partition("\n")
        identity, day, author, subject, reviewed = head.split(FIELD)
        commits.append(Commit(identity, day, author, subject, reviewed.strip(), tuple(sorted(filter(None, files.split("\n"))))))
    return tuple(commits)


def pins_of(lock: str) -> dict[str, str]:
    versions = {match[1].lower(): match[2] for match in PIN.finditer(lock)}
    return {name: versions[name] for name in PINNED if name in versions}


def base_image_of(dockerfile: str) -> str:
    found = {match[1]: match[2] for match in BASE.finditer(dockerfile)}
    return f"{found['NAME']}@{found['DIGEST']}" if {"NAME", "DIGEST"} <= set(found) else ""


def _tag(folder: Path) -> str:
    """The last tag before HEAD: a release that is tagged already lists what it brought."""
    try:
        return _git(folder, "describe", "--tags", "--abbrev=0", "HEAD^").strip()
    except RepositoryMistake:
        return ""


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *STEADY, *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise RepositoryMistake(f"git cannot be run ({error.strerror}); the change log comes from it") from None
    if done.returncode:
        raise RepositoryMistake(f"{folder} is no git repository with a commit: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _yaml(file: Path) -> Any:
    if not file.exists():
        return None
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError:
        raise RepositoryMistake(f"{file} is no YAML; the access review lists the roles in it") from None
