"""How a process is looked after, at the borders and by what supervisord would get."""

from __future__ import annotations

from typing import Any

import pytest

from policies.resource import View
from policies.rule import Outcome, Verdict
from policies.rules import process
from policies.rules.process import readiness_is_its_own, restarts_are_bounded, supervision_of


@pytest.mark.parametrize("path", ["/healthz", "/health", "/livez", "/v2/health/live"])
def test_a_path_of_liveness_says_nothing_of_readiness(make: Any, path: str) -> None:
    assert readiness_is_its_own(make("worker", {"check/path": path})).outcome is Outcome.FAIL


@pytest.mark.parametrize("changes", [{"check/path": "/readyz"}, {"check/path": "/v2/health/ready"}, {"check/path": ""}])
def test_another_path_and_the_default_one_are_fine(make: Any, changes: dict[str, Any]) -> None:
    assert readiness_is_its_own(make("worker", changes)).outcome is Outcome.PASS


def test_the_default_path_is_the_programs() -> None:
    from infra.local.health import Check

    assert Check(kind="http", port=1).path == process.DEFAULT_PATH


@pytest.mark.parametrize("kind", ["http", "https"])
def test_both_kinds_of_http_have_a_path(make: Any, kind: str) -> None:
    assert readiness_is_its_own(make("worker", {"check/kind": kind, "check/path": "/livez"})).outcome is Outcome.FAIL


def test_redis_is_asked_in_its_own_way(make: Any) -> None:
    assert readiness_is_its_own(make("redis")).outcome is Outcome.PASS
    assert readiness_is_its_own(make("redis", {"check/path": "/livez"})).outcome is Outcome.PASS


def test_a_kind_that_is_not_said_is_none(make: Any) -> None:
    verdict = readiness_is_its_own(make("worker", {"check/kind": None}))
    assert "check.kind is empty" in verdict.reasons[0] or "a text of 0 characters" in verdict.reasons[0]


@pytest.mark.parametrize("name", ["ready_within", "answer_within"])
@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [
        (0, Outcome.FAIL),
        (-1, Outcome.FAIL),
        (0.5, Outcome.PASS),
        (1, Outcome.PASS),
        (899.5, Outcome.PASS),
        (900, Outcome.PASS),
        (900.5, Outcome.FAIL),
        (901, Outcome.FAIL),
    ],
)
def test_a_wait_has_an_end(make: Any, name: str, seconds: float, outcome: Outcome) -> None:
    assert readiness_is_its_own(make("worker", {f"check/{name}": seconds})).outcome is outcome


@pytest.mark.parametrize("name", ["ready_within", "answer_within"])
def test_a_wait_that_is_not_said_is_the_programs(make: Any, name: str) -> None:
    worker = make("worker")
    worker.properties["check"].pop(name, None)
    assert readiness_is_its_own(worker).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [(0, Outcome.FAIL), (1, Outcome.PASS), (599, Outcome.PASS), (600, Outcome.PASS), (601, Outcome.FAIL)],
)
def test_a_stop_has_an_end(make: Any, seconds: int, outcome: Outcome) -> None:
    assert restarts_are_bounded(make("worker", {"stopSeconds": seconds})).outcome is outcome


def supervised(monkeypatch: pytest.MonkeyPatch, make: Any, **section: str) -> Verdict:
    monkeypatch.setattr(process, "supervision_of", lambda _view: section)
    return restarts_are_bounded(make("worker"))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, ""),
        ({"autorestart": "true"}, ""),
        ({"autorestart": "unexpected"}, ""),
        ({"autorestart": "false"}, "autorestart is false"),
        ({"startretries": "1"}, ""),
        ({"startretries": "99"}, ""),
        ({"startretries": "100"}, ""),
        ({"startretries": "0"}, "startretries is 0; it is from 1 to 100"),
        ({"startretries": "101"}, "startretries is 101"),
        ({"startretries": "many"}, "startretries is many"),
        ({"startretries": "-1"}, "startretries is -1"),
        ({"stdout_logfile_maxbytes": "1MB"}, ""),
        ({"stdout_logfile_maxbytes": "10GB"}, ""),
        ({"stdout_logfile_maxbytes": "0"}, "stdout_logfile_maxbytes is 0"),
        ({"stdout_logfile_maxbytes": "0MB"}, "stdout_logfile_maxbytes is 0"),
        ({"stdout_logfile_maxbytes": "0KB"}, "stdout_logfile_maxbytes is 0"),
        ({"stdout_logfile_maxbytes": "0GB"}, "stdout_logfile_maxbytes is 0"),
        ({"stdout_logfile_backups": "1"}, ""),
        ({"stdout_logfile_backups": "0"}, "stdout_logfile_backups is 0"),
    ],
)
def test_what_supervisord_gets_has_bounds(monkeypatch: Any, make: Any, section: dict[str, str], words: str) -> None:
    verdict = supervised(monkeypatch, make, **section)
    assert verdict.outcome is (Outcome.FAIL if words else Outcome.PASS)
    assert not words or words in verdict.reasons[0]


def test_the_section_is_that_of_the_process() -> None:
    section = supervision_of(View({"process": "worker", "stopSeconds": 30}))
    assert section["stopwaitsecs"] == "30"
    assert "startretries" in section
    assert "stdout_logfile_maxbytes" in section
    assert section["stdout_logfile"].startswith("/")
