"""``make logs``: the last lines of each process of a stack on this machine, or all of them as they come."""

from __future__ import annotations

import contextlib
import subprocess

from infra.local.layout import Layout
from tools.stack.assistant import AssistantError
from tools.stack.engine import Engine


def show(engine: Engine, *, lines: int, follow: bool) -> int:
    folder = Layout(engine.state_directory()).logs
    files = sorted(folder.glob("*.log"))
    if not files:
        raise AssistantError(f"No logs in {folder}. Is the stack up? Bring it up with: make up")
    if follow:
        with contextlib.suppress(KeyboardInterrupt):  # how one stops watching
            subprocess.run(["tail", "-n", str(lines), "-F", *map(str, files)], check=False)
        return 0
    for file in files:
        print(f"--- {file.name}")
        print("\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]))
    return 0
