"""A repository with a history."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


def git(folder: Path, *arguments: str) -> str:
    """Commits of one author at one time, whatever the machine's own settings are."""
    clock = "2026-11-20T23:30:00+0100"
    own = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_DATE": clock,
        "GIT_COMMITTER_DATE": clock,
    }
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], env={**os.environ, **own}, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a release and two commits after it."""
    folder = tmp_path / "checkout"
    (folder / "policies").mkdir(parents=True)
    (folder / "app").mkdir()
    git(folder.parent, "init", "--quiet", "--initial-branch=main", str(folder))
    for name, text, message, tag in (
        ("policies/waivers.yaml", "[]\n", "Begin", "v1.0"),
        ("app/gateway.py", "A = 1\n", "Let the gateway answer\n\nReviewed-by: Grace Hopper", ""),
        ("policies/waivers.yaml", "# none\n[]\n", "Say that there are no exceptions", ""),
    ):
        (folder / name).write_text(text)
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", message)
        if tag:
            git(folder, "tag", tag)
    return folder
