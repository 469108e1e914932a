"""``make logs``: the last lines of each process of a stack, or all of them as they come."""

from __future__ import annotations

import contextlib
import subprocess

from infra.local.layout import Layout
from tools.stack.assistant import AssistantError
from tools.stack.cluster import PODS, find, is_cluster, last_line
from tools.stack.engine import Engine

MOST_PODS = 100  # that kubectl follows at once


def show(engine: Engine, *, lines: int, follow: bool) -> int:
    return show_pods(engine, lines, follow) if is_cluster(engine) else show_files(engine, lines, follow)


def show_pods(engine: Engine, lines: int, follow: bool) -> int:
    """Each line with its pod and container in front, as kubectl tells them."""
    cluster = find(engine)
    listed = cluster.kubectl("get", "pods", f"--selector={PODS}", "--output=name")
    if listed.returncode:
        raise AssistantError(f"The cluster of context {cluster.context} does not tell: {last_line(listed.stderr)}")
    if not listed.stdout.strip():
        raise AssistantError(f"No pods in {cluster}. Is the stack up? Bring it up with: make up{engine.make_option}")
    reading = ["logs", f"--selector={PODS}", "--all-containers", "--prefix", "--ignore-errors", f"--tail={lines}"]
    most = [f"--max-log-requests={MOST_PODS}", *(["--follow"] if follow else [])]
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(cluster.command(*reading, *most), env=dict(cluster.environment), check=False)
    return 0


def show_files(engine: Engine, lines: int, follow: bool) -> int:
    folder = Layout(engine.state_directory()).logs
    files = sorted(folder.glob("*.log"))
    if not files:
        raise AssistantError(f"No logs in {folder}. Is the stack up? Bring it up with: make up{engine.make_option}")
    if follow:
        with contextlib.suppress(KeyboardInterrupt):  # how one stops watching
            subprocess.run(["tail", "-n", str(lines), "-F", *map(str, files)], check=False)
        return 0
    for file in files:
        print(f"--- {file.name}")
        print("\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]))
    return 0
