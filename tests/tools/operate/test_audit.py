"""Where the records of a stack are looked for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.telemetry.audit.actions import PROCESS_STARTED
from app.telemetry.audit.heads import Anchored, to_json
from app.telemetry.audit.record import Entry, first, seal
from infra.local.layout import Layout
from tools.operate.audit import of_pods, sources
from tools.stack.assistant import AssistantError
from tools.stack.cluster import Cluster


def test_the_folder_goes_before_the_logs_of_which_chains_may_have_lost_their_beginning(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with pytest.raises(AssistantError, match="make up STACK=trial"):
        sources(tmp_path / "audit", layout, " STACK=trial")
    layout.logs.mkdir()
    for name in ("worker", "gateway"):
        layout.log(name).write_text("")
    assert sources(tmp_path / "audit", layout, "") == ["--partial", str(layout.log("gateway")), str(layout.log("worker"))]
    (tmp_path / "audit").mkdir()
    assert sources(tmp_path / "audit", layout, "") == ["--directory", str(tmp_path / "audit")]


def cluster_of(folder: Path, heads: str, lines: bytes, status: int = 0) -> Cluster:
    """A cluster whose kubectl is a script: a worker that prints ``heads``, and pods that have written ``lines``."""
    (folder / "heads").write_text(heads)
    (folder / "lines").write_bytes(lines)
    script = folder / "kubectl"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *exec*) cat {folder}/heads;; *logs*) cat {folder}/lines;; esac\nexit {status}\n'
    )
    script.chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    return Cluster(context="c", server="https://s", namespace="assistant", environment=environment)


def test_a_clusters_records_are_read_from_its_pods_and_held_against_a_workers_heads(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record = seal(Entry(action=PROCESS_STARTED, actor="process"), first("pod-1-00000000"), datetime(2026, 11, 25, tzinfo=UTC))
    heads = to_json(Anchored(heads={record.head.writer: record.head}))
    assert of_pods(cluster_of(tmp_path, heads, b"[pod/worker] starting\n[pod/worker] " + record.line)) == 0
    assert "1 record of 1 writer, unbroken" in capfd.readouterr().out
    assert of_pods(cluster_of(tmp_path, heads, record.line.replace(b"process.started", b"process.stopped"))) == 1
    assert "edited" in capfd.readouterr().out


def test_a_cluster_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with pytest.raises(AssistantError, match="The heads cannot be read from a worker of context c"):
        of_pods(cluster_of(tmp_path, "", b"", status=1))
