"""Clocks that are apart, and time zones that are not UTC."""

from __future__ import annotations

import http.server
import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from app.doctor.checks import clock
from app.doctor.finding import Severity

_spec = importlib.util.spec_from_file_location("resp_server", Path(__file__).parent / "resp_server.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
ClockRedis = _module.ClockRedis


@pytest.mark.parametrize(
    ("ahead", "severity"),
    [(0, Severity.OK), (30, Severity.OK), (-90, Severity.WARNING), (90, Severity.WARNING), (-400, Severity.ERROR)],
)
def test_tells_redis_clock_from_this_one(doctor: Any, ahead: float, severity: Severity) -> None:
    with ClockRedis(ahead) as server:
        found = doctor.look("gateway", "clock", REDIS_URL=server.url)
    (told,) = [finding for finding in found if "Redis" in finding.what]
    assert told.severity is severity


@pytest.mark.parametrize(("ahead", "severity"), [(0, Severity.OK), (120, Severity.WARNING), (-900, Severity.ERROR)])
def test_tells_a_platforms_clock_from_this_one(doctor: Any, ahead: float, severity: Severity, closed_port: int) -> None:
    with _platform(ahead) as url:
        found = doctor.look("worker", "clock", GENERIC_URL=url, REDIS_URL=f"redis://127.0.0.1:{closed_port}/0")
    (told,) = [finding for finding in found if "platform" in finding.what]
    assert told.severity is severity


def test_takes_rounding_to_whole_seconds_for_none() -> None:
    assert clock.ahead_of(formatdate(1_800_000_000, usegmt=True), 1_800_000_000.2, 1_800_000_000.9) == 0.0
    assert clock.ahead_of("no date", 0.0, 0.0) is None
    assert clock.ahead_of(formatdate(1_800_000_100, usegmt=True), 1_800_000_000.0, 1_800_000_000.5) == pytest.approx(99.5)
    assert clock.ahead_of(formatdate(1_799_999_900, usegmt=True), 1_800_000_000.0, 1_800_000_000.5) == pytest.approx(-99.0)


@pytest.mark.parametrize(
    ("zone", "what"),
    [
        ("Asia/Shanghai", "The process's time zone is not UTC"),
        ("Mars/Phobos", "The process's time zone is none that is known, so it is UTC in silence"),
    ],
)
def test_tells_a_wrong_time_zone(zone: str, what: str) -> None:
    """In a process of its own: the zone is the process's."""
    assert what in _of_process(TZ=zone)


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC", "UTC0", ":UTC"])
def test_is_content_with_utc_however_it_is_written(zone: str) -> None:
    assert "The process's time zone is UTC" in _of_process(TZ=zone)


def test_tells_a_host_that_is_not_in_utc() -> None:
    assert clock.judge_host("Etc/UTC") == []
    assert clock.judge_host(None) == []
    (found,) = clock.judge_host("Europe/Berlin")
    assert found.severity is Severity.NOTE


@pytest.mark.parametrize(("status", "severity"), [(0, Severity.OK), (0x2041, Severity.NOTE), (None, Severity.NOTE)])
def test_says_whether_ntp_keeps_the_clock(status: int | None, severity: Severity) -> None:
    assert [finding.severity for finding in clock.judge_ntp(status)] == [severity]


def _of_process(**environment: str) -> str:
    command = [sys.executable, "-m", "app.doctor", "--service", "worker", "--only", "clock", "--all"]
    needed = {"INFERENCE_API_KEY": "inference-key-" + "b" * 20, "REDIS_URL": "redis://127.0.0.1:1/0"}
    everything = {"PATH": os.environ["PATH"], **needed, **environment}
    done = subprocess.run(command, env=everything, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split())


@contextmanager
def _platform(ahead: float) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(404)
            self.send_header("Date", formatdate(time.time() + ahead, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
