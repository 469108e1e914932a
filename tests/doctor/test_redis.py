"""Each way in which Redis fails is recognised, and a Redis that is well is left in peace."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.doctor.checks import redis
from app.doctor.finding import Severity
from app.doctor.reach import Reached


def test_finds_nothing_wrong_with_a_redis_that_is_well(doctor: Any, private_redis: Any, redis_environment: Any) -> None:
    private_redis.command("CONFIG", "SET", "maxmemory", "64mb")
    found = doctor.look("gateway", "redis", **redis_environment(private_redis))
    assert {finding.severity for finding in found} == {Severity.OK}
    assert any("round trip" in finding.evidence for finding in found)


def test_leaves_nothing_behind(doctor: Any, private_redis: Any, redis_environment: Any) -> None:
    doctor.look("gateway", "redis", "queue", "clock", **redis_environment(private_redis))
    deadline = time.monotonic() + 10
    while private_redis.command("KEYS", "*"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_tells_a_stopped_redis(doctor: Any, private_redis: Any, redis_environment: Any) -> None:
    environment = redis_environment(private_redis)
    private_redis.kill()
    found = doctor.only("gateway", "redis", **environment)
    assert found.what == "Redis takes no connection"
    assert "Connection refused" in found.evidence


def test_tells_a_redis_that_hangs_from_one_that_is_stopped(doctor: Any, private_redis: Any, redis_environment: Any) -> None:
    private_redis.pause()
    try:
        found = doctor.only("worker", "redis", **redis_environment(private_redis))
    finally:
        private_redis.resume()
    assert found.what == "Redis takes connections and does not answer: it hangs"


def test_tells_a_name_that_is_not_found(doctor: Any) -> None:
    found = doctor.only("gateway", "redis", REDIS_URL="redis://nobody.invalid:6379/0")
    assert found.what == "The name of Redis is not found"
    assert "REDIS_URL" in found.remedy


@pytest.mark.parametrize("given", [{"REDIS_PASSWORD": "wrong-password"}, {}])
def test_tells_a_wrong_or_missing_password(doctor: Any, private_redis: Any, given: dict[str, str]) -> None:
    found = doctor.only("gateway", "redis", REDIS_URL=private_redis.url, **given)
    assert found.what == "Redis refuses the password"


def test_tells_a_full_redis(doctor: Any, private_redis: Any, redis_environment: Any) -> None:
    private_redis.command("CONFIG", "SET", "maxmemory", "1")
    found = doctor.wrong("gateway", "redis", **redis_environment(private_redis))
    assert found[0].what == "Redis is full and takes no event"
    assert "OOM" in found[0].evidence
    assert any("memory is full" in finding.what for finding in found)


def test_tells_a_replica(doctor: Any, private_redis: Any, redis_environment: Any, closed_port: int) -> None:
    private_redis.command("REPLICAOF", "127.0.0.1", closed_port)
    found = doctor.wrong("gateway", "redis", **redis_environment(private_redis))
    assert found[0].what == "Redis takes no writes: it is a replica"


def test_tells_a_redis_that_keeps_nothing_and_one_that_evicts(doctor: Any, private_redis: Any, redis_environment: Any) -> None:
    private_redis.command("CONFIG", "SET", "appendonly", "no")
    private_redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    private_redis.command("CONFIG", "SET", "maxmemory", "64mb")
    found = [finding.what for finding in doctor.wrong("gateway", "redis", **redis_environment(private_redis))]
    assert found == [
        "Redis keeps nothing on the disk: acknowledged events are lost when it ends",
        "Redis throws events away when it is full",
    ]


def test_takes_a_cluster_for_what_it_is(doctor: Any, cluster_redis: Any, redis_environment: Any) -> None:
    found = doctor.wrong("gateway", "redis", "queue", REDIS_CLUSTER="true", **redis_environment(cluster_redis))
    assert [finding.what for finding in found] == ["No worker waits for work"]


@pytest.mark.parametrize(("version", "severity"), [("6.0.16", Severity.ERROR), ("6.2.0", Severity.OK), ("7.2.4", Severity.OK)])
def test_judges_the_version(version: str, severity: Severity) -> None:
    assert [finding.severity for finding in redis.judge_info({"redis_version": version}, cluster=False)] == [severity]


@pytest.mark.parametrize(("used", "severity"), [(79, Severity.OK), (80, Severity.WARNING), (95, Severity.ERROR)])
def test_judges_the_memory(used: int, severity: Severity) -> None:
    said = {"used_memory": str(used), "maxmemory": "100"}
    assert [finding.severity for finding in redis.judge_info(said, cluster=False)] == [severity]


def test_leaves_durability_and_policy_to_memorydb() -> None:
    said = {"aof_enabled": "0", "maxmemory_policy": "volatile-lru"}
    assert redis.judge_info(said, cluster=True) == []


def test_tells_a_file_that_could_not_be_written() -> None:
    (found,) = redis.judge_info({"aof_last_write_status": "err"}, cluster=False)
    assert found.what == "Redis could not write its file"


@pytest.mark.parametrize(
    ("round_trip", "write", "what"),
    [
        (0.001, 0.002, "Redis answers and takes writes"),
        (0.06, 0.06, "Redis is slow to answer"),
        (0.001, 0.2, "Redis' disk is slow: every acknowledgement waits for it"),
    ],
)
def test_tells_a_slow_network_from_a_slow_disk(round_trip: float, write: float, what: str) -> None:
    assert redis.judge_times(redis.Times(round_trip=round_trip, write=write), "redis:6379").what == what


def test_tells_a_redis_that_is_loading() -> None:
    reached = Reached(host="redis", port=6379, stage="reached", tcp_seconds=0.001)
    assert redis.unanswered("Redis refuses: LOADING", reached, 0.25).what == "Redis is still loading its file"
