"""Where a rehearsal keeps its things: below ``.state/rehearsal`` of the checkout, a folder for each stack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """``root`` is all rehearsals'; one runs at a time, for they share the addresses that they play AWS on."""

    root: Path
    stack: str

    @staticmethod
    def of(stack: str, checkout: Path = CHECKOUT) -> Layout:
        return Layout(root=checkout / ".state" / "rehearsal", stack=stack)

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def report(self) -> Path:
        return self.root / f"{self.stack}.html"

    @property
    def processes(self) -> Path:
        return self.root / "processes"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def folder(self) -> Path:
        """Of this stack's rehearsal; each begins with an empty one."""
        return self.root / self.stack

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def backend(self) -> Path:
        return self.folder / "backend"

    @property
    def passphrase(self) -> Path:
        return self.folder / "passphrase"

    @property
    def world(self) -> Path:
        return self.folder / "world.json"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def certificates(self) -> Path:
        return self.folder / "certificates"

    @property
    def queue(self) -> Path:
        return self.folder / "queue"

    @property
    def record(self) -> Path:
        """How the acceptance suite finds the stack."""
        return self.folder / "stack.json"
