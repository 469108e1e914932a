"""What an image says of its origin: the version, and the commit that last changed what goes in."""

from __future__ import annotations

import subprocess
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

LABEL = "org.opencontainers.image"


@dataclass(frozen=True)
class Provenance:
    """``seconds`` since 1970 are the commit's: what is built again says the same, and carries the same time stamps."""

    version: str
    revision: str | None
    seconds: int | None

    @property
    def labels(self) -> dict[str, str]:
        labels = {f"{LABEL}.version": self.version}
        if self.revision is not None:
            labels[f"{LABEL}.revision"] = self.revision
        if self.seconds is not None:
            labels[f"{LABEL}.created"] = datetime.fromtimestamp(self.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return labels


def provenance(checkout: Path, files: list[str]) -> Provenance:
    """Outside a git checkout there is no revision."""
    version = str(tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    command = ["git", "-C", str(checkout), "log", "-1", "--format=%H %ct", "--", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    revision, _, seconds = done.stdout.strip().partition(" ")
    if done.returncode or not seconds:
        return Provenance(version, None, None)
    return Provenance(version, revision, int(seconds))
