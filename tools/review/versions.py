"""Two versions of the checkout, each laid out in a folder: what the change starts from, and the working tree as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.aws.standins import ENCRYPTION, settings_alone
from tools.review.errors import ReviewError
from tools.stack.engine import Engine

POLICIES = "policies"


@dataclass(frozen=True, kw_only=True)
class Base:
    """``name`` as it was given; ``commit``: where this branch left it, in 40 hexadecimal digits."""

    name: str
    commit: str

    def __str__(self) -> str:
        return f"{self.name} ({self.commit[:10]})"


def base_of(checkout: Path, name: str) -> Base:
    """Raises :class:`ReviewError` where git does not know ``name``."""
    found = _git(checkout, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode:
        raise ReviewError(
            f"BASE={name} is no commit that this clone has. Nothing was previewed.\n"
            "Fetch it (git fetch origin main; a shallow clone: git fetch --unshallow), or name another: make review BASE=HEAD~1"
        )
    tip = found.stdout.decode().strip()
    # What the base has got since then is not this change's doing.
    common = _git(checkout, "merge-base", tip, "HEAD")
    return Base(name=name, commit=tip if common.returncode else common.stdout.decode().strip())


def changed_policies(checkout: Path, base: Base) -> tuple[str, ...]:
    """Files of the policy pack that differ: a change may have loosened what it is held to."""
    listed = _git(checkout, "diff", "--name-only", "-z", base.commit, "--", POLICIES)
    return tuple(name for name in listed.stdout.decode().split("\0") if name)


def lay_out_base(checkout: Path, base: Base, folder: Path) -> None:
    _emptied(folder)
    # An index of its own: the one of the clone, and what is checked out there, are not touched.
    with tempfile.TemporaryDirectory() as place:
        index = {"GIT_INDEX_FILE": str(Path(place) / "index")}
        for arguments in (("read-tree", base.commit), ("checkout-index", "--all", f"--prefix={folder}/")):
            done = _git(checkout, *arguments, environment=index)
            if done.returncode:
                raise ReviewError(f"git {arguments[0]} of {base}: {done.stderr.decode(errors='replace').strip()}")


def lay_out_working_tree(checkout: Path, folder: Path) -> None:
    """What git tracks and what it would: not what it ignores."""
    _emptied(folder)
    listed = _git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = checkout / name, folder / name
        if not source.is_file():  # deleted and not yet committed, or a link to a folder
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def configure(engine: Engine, given: Path, keep: str = "") -> None:
    """Give ``engine``'s folder a configuration of the stack: its own tracked one, else ``given``, else the example.

    ``keep``: lines about the key that the engine encrypts with, which go before.
    """
    own = engine.configuration
    source = next((file for file in (own, given, engine.example) if file.exists()), None)
    text = settings_alone(source) if source else ""
    own.parent.mkdir(exist_ok=True)
    own.write_text(keep + text, encoding="utf-8")


def encryption_lines(engine: Engine) -> str:
    return "".join(match[0] for match in ENCRYPTION.finditer(engine.configuration.read_text(encoding="utf-8")))


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _git(checkout: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    given = {**os.environ, **(environment or {})}
    return subprocess.run(["git", *arguments], cwd=checkout, env=given, capture_output=True, check=False)
