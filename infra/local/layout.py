"""Where a local stack keeps its things: one private directory, and what lies where in it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

# sun_path holds 108 bytes with its final NUL (unix(7)); supervisord binds to "<path>.<pid>" first and then renames it.
LONGEST_SOCKET_PATH = 107 - len(".4194304")

# In the environment of every process of a stack: this is how it is known again, also when its supervisor is dead.
STATE_MARKER = "ASSISTANT_STATE_DIRECTORY"
PROCESS_MARKER = "ASSISTANT_PROCESS"
DIGEST_MARKER = "ASSISTANT_PROCESS_DIGEST"
SUPERVISOR = "supervisord"
# In the checkout, by stack, beside the stacks' own directories: what was done is not forgotten with `make down`.
AUDIT = Path(".state") / "audit"
# Everything that a stack puts into its directory.
OURS = frozenset(
    {"secrets", "certificate", "logs", "supervisor", "redis", "inference", "gateway", "worker"}
    | {"slack-transport", "feishu-transport"}
)


@dataclass(frozen=True)
class Layout:
    """The paths below ``root``, which is absolute and private to one stack."""

    root: Path

    def foreign_entries(self) -> list[str]:
        """What lies in ``root`` and is no stack's: such a directory is somebody's own, and ``down`` must not touch it."""
        return sorted(entry.name for entry in self.root.iterdir() if entry.name not in OURS) if self.root.is_dir() else []

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def certificate(self) -> Path:
        return self.root / "certificate"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def supervisor(self) -> Path:
        return self.root / "supervisor"

    @property
    def supervisor_configuration(self) -> Path:
        return self.supervisor / "supervisord.conf"

    @property
    def programs(self) -> Path:
        """A ``.conf`` (for supervisord) and a ``.json`` (for :mod:`infra.local.launch`) a process."""
        return self.supervisor / "programs"

    @property
    def socket(self) -> Path:
        """supervisord's control socket: in the stack's directory, or in a short private one where its path would be too long.

        The choice depends on nothing but the path, so that every shell finds the same socket.
        """
        here = self.supervisor / "s"
        if len(os.fsencode(here)) <= LONGEST_SOCKET_PATH:
            return here
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(f"/tmp/assistant-{os.getuid()}-{digest}/s")  # noqa: S108 - private: made 0700 and its owner is checked

    def data(self, process: str) -> Path:
        """What a process itself writes."""
        return self.root / process

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"
