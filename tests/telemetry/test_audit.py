"""The audit log as a process keeps it: durable, chained, in order, closed to texts and secrets."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.pipeline.redis_client import RedisClient, connect
from app.settings import RedisSettings
from app.telemetry.audit import actions
from app.telemetry.audit.heads import HEADS, Anchored, HeadsUnavailable, RedisHeads
from app.telemetry.audit.log import AuditLog, auditing, new_writer
from app.telemetry.audit.metrics import AuditMetrics
from app.telemetry.audit.notices import Notices
from app.telemetry.audit.record import (
    LONGEST_VALUE,
    NOTHING_BEFORE,
    AuditUnavailable,
    Entry,
    Head,
    bounded,
    digest,
    first,
    seal,
)
from app.telemetry.audit.sinks import FileSink, StreamSink
from app.telemetry.audit.verify import Verification, lines_of

NOW = datetime(2026, 11, 25, 23, 59, 59, 123456, tzinfo=UTC)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "audit.md"


def records_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def flaws_in(folder: Path, heads: Anchored | None = None) -> list[str]:
    verification = Verification(heads)
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            verification.read(path.name, lines_of(file))
    verification.finish()
    return [f"{finding.flaw} {finding.seq}" for finding in verification.findings]


class Disk:
    """A sink that a test lets fail."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.error: int | None = None

    def write(self, lines: bytes, day: date) -> None:
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        self.lines += lines.splitlines(keepends=True)

    def close(self) -> None:
        pass

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def on_disk(registry: CollectorRegistry) -> AsyncIterator[tuple[AuditLog, Disk]]:
    disk = Disk()
    log = AuditLog(disk, "host-1-00000000", "worker", AuditMetrics(registry))
    await log.start()
    yield log, disk
    await log.aclose()


@pytest.fixture
async def client(redis: Any, redis_server: Any) -> AsyncIterator[RedisClient]:
    connected = connect(
        RedisSettings(redis_url=redis_server.url, redis_password=redis_server.password, redis_timeout_seconds=10)
    )
    yield connected
    await connected.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 it is counted by a registry, which tells nobody
            await asyncio.sleep(0.005)


def test_a_record_is_one_canonical_line_whose_hash_is_of_all_the_rest() -> None:
    entry = Entry(action=actions.TASK_RUN, actor="slack:T1:U2", tenant="sales", subject="会议", details={"attempts": 2})
    record = seal(entry, first("w"), NOW)
    values = json.loads(record.line)
    assert record.line.isascii()
    assert record.line == json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert values.pop("hash") == record.head.hash == digest(values)
    assert values == {
        "audit": True,
        "v": 1,
        "writer": "w",
        "seq": 1,
        "at": "2026-11-25T23:59:59.123Z",
        "action": "task.run",
        "actor": "slack:T1:U2",
        "tenant": "sales",
        "subject": "会议",
        "outcome": "done",
        "details": {"attempts": 2},
        "prev": NOTHING_BEFORE,
    }
    assert json.loads(seal(entry, record.head, NOW).line)["prev"] == record.head.hash


@pytest.mark.parametrize(
    ("came", "kept"),
    [
        ("会议 🎉", "会议 🎉"),
        ("a\r\nb\x1b[31m\x00", "a\\u000d\\u000ab\\u001b[31m\\u0000"),
        ("\u202eleft\u2028", "\\u202eleft\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("x" * 256, "x" * 256),
        ("x" * 257, "x" * 255 + "…"),
        ("\x00" * 10_000_000, ("\\u0000" * 43)[:255] + "…"),
    ],
)
def test_values_are_short_and_move_no_terminal(came: str, kept: str) -> None:
    assert bounded(came) == kept
    assert len(bounded(came)) <= LONGEST_VALUE


def test_an_action_or_a_detail_that_is_not_listed_is_a_defect() -> None:
    with pytest.raises(ValueError, match=r"event\.eaten"):
        Entry(action="event.eaten", actor="x")
    with pytest.raises(ValueError, match="text"):
        Entry(action=actions.TASK_RUN, actor="x", details={"text": "what somebody said"})


def test_the_page_lists_every_action_with_its_meaning() -> None:
    page = PAGE.read_text()
    assert [name for name, meaning in actions.ACTIONS.items() if f"| `{name}` | {meaning} " not in page] == []


async def test_records_are_on_the_disk_when_record_returns_and_read_by_their_owner_alone(
    tmp_path: Path, registry: CollectorRegistry
) -> None:
    folder = tmp_path / "logs" / "audit"
    async with auditing(folder, None, registry, "gateway") as log:
        await log.record(actions.EVENT_REPLAYED, actor="key:operator", subject="generic:default:1")
        (file,) = folder.iterdir()
        assert [record["action"] for record in records_in(folder)] == ["process.started", "event.replayed"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [record["action"] for record in records_in(folder)][-1] == "process.stopped"
    assert flaws_in(folder) == []
    assert registry.get_sample_value("assistant_audit_records_total", {"action": "event.replayed"}) == 1


async def test_five_hundred_at_once_are_one_chain_in_the_order_in_which_they_came(
    tmp_path: Path, registry: CollectorRegistry
) -> None:
    async with auditing(tmp_path / "a", None, registry, "worker") as log:
        await asyncio.gather(*(log.record(actions.TASK_RUN, actor="x", subject=str(number)) for number in range(500)))
    records = records_in(tmp_path / "a")
    assert [record["seq"] for record in records] == list(range(1, 503))
    assert [record["subject"] for record in records[1:-1]] == [str(number) for number in range(500)]
    assert flaws_in(tmp_path / "a") == []


async def test_a_caller_who_goes_away_leaves_the_chain_whole(tmp_path: Path, registry: CollectorRegistry) -> None:
    async with auditing(tmp_path / "a", None, registry, "worker") as log:
        calls = [asyncio.create_task(log.record(actions.TASK_RUN, actor="x")) for _ in range(20)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    assert flaws_in(tmp_path / "a") == []


async def test_a_day_has_a_file_of_its_own_and_the_chain_goes_on_in_it(tmp_path: Path, registry: CollectorRegistry) -> None:
    now = [NOW]
    writer = new_writer()
    log = AuditLog(FileSink(tmp_path / "a", writer), writer, "worker", AuditMetrics(registry), clock=lambda: now[0])
    await log.start()
    now[0] += timedelta(seconds=2)
    await log.record(actions.TASK_RUN, actor="x")
    now[0] -= timedelta(days=3)  # a clock that was set back is no reason to go back to a file
    await log.record(actions.TASK_RUN, actor="x")
    await log.aclose()
    names = [file.name for file in sorted((tmp_path / "a").iterdir())]
    assert names == [f"{writer}.2026-11-25.jsonl", f"{writer}.2026-11-26.jsonl"]
    assert flaws_in(tmp_path / "a") == []


async def test_what_cannot_be_written_is_refused_counted_and_told_by_the_next_record(
    on_disk: tuple[AuditLog, Disk], registry: CollectorRegistry
) -> None:
    log, disk = on_disk
    disk.error = errno.ENOSPC
    for _ in range(3):
        with pytest.raises(AuditUnavailable, match="No space left"):
            await log.record(actions.EVENT_REPLAYED, actor="x")
    disk.error = None
    await log.record(actions.EVENT_REPLAYED, actor="x")
    assert [record["action"] for record in disk.records] == ["process.started", "records.lost", "event.replayed"]
    assert disk.records[1]["details"] == {"count": 3}
    assert [record["seq"] for record in disk.records] == [1, 2, 3]
    assert registry.get_sample_value("assistant_audit_failures_total") == 3
    await log.record(actions.TASK_RUN, actor="x")
    assert disk.records[-1]["action"] == "task.run"


async def test_a_defect_of_one_caller_is_not_waited_for_and_leaves_the_chain_whole(on_disk: tuple[AuditLog, Disk]) -> None:
    log, disk = on_disk
    with pytest.raises(AuditUnavailable, match="TypeError"):
        await log.record(actions.TASK_RUN, actor=None)  # type: ignore[arg-type]
    await log.record(actions.TASK_RUN, actor="x")
    assert [record["seq"] for record in disk.records] == [1, 2, 3]


async def test_half_a_record_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: CollectorRegistry
) -> None:
    write, failing = os.write, [False]

    def half(descriptor: int, data: Any) -> int:
        if not failing[0]:
            return write(descriptor, data)
        if len(data) < 200:
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data[: len(data) // 2])

    async with auditing(tmp_path / "a", None, registry, "worker") as log:
        monkeypatch.setattr("app.telemetry.audit.sinks.os.write", half)
        failing[0] = True
        with pytest.raises(AuditUnavailable):
            await log.record(actions.TASK_RUN, actor="x")
        failing[0] = False
        await log.record(actions.EVENT_REPLAYED, actor="x")
    assert flaws_in(tmp_path / "a") == []
    assert "event.replayed" in [record["action"] for record in records_in(tmp_path / "a")]


async def test_a_process_that_cannot_keep_its_first_record_does_not_run(tmp_path: Path, registry: CollectorRegistry) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        async with auditing(tmp_path / "file", None, registry, "worker"):
            pytest.fail("it ran")


async def test_a_folder_that_others_could_read_is_closed_to_them(tmp_path: Path, registry: CollectorRegistry) -> None:
    folder = tmp_path / "a"
    folder.mkdir(mode=0o755)
    async with auditing(folder, None, registry, "worker"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_after_the_last_record_nothing_is_taken(on_disk: tuple[AuditLog, Disk]) -> None:
    log, disk = on_disk
    await log.aclose()
    with pytest.raises(AuditUnavailable, match="stopping"):
        await log.record(actions.TASK_RUN, actor="x")
    assert [record["action"] for record in disk.records] == ["process.started", "process.stopped"]


PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from app.telemetry.audit.log import auditing

async def main():
    async with auditing(Path(sys.argv[1]) if sys.argv[1] else None, None, CollectorRegistry(), "worker") as log:
        print("not a record", flush=True)
        for number in range(20):
            await log.record("task.run", actor="x", subject=str(number))
        if sys.argv[2] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_a_killed_process_leaves_all_that_record_returned_for(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "a"), "killed"], check=False, timeout=60)
    assert run.returncode == -9
    assert [record["seq"] for record in records_in(tmp_path / "a")] == list(range(1, 22))
    assert flaws_in(tmp_path / "a") == []


def test_without_a_folder_each_record_is_a_marked_line_of_the_output(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM, "", ""], capture_output=True, check=True, timeout=60)
    verification = Verification()
    verification.read("output", run.stdout.splitlines(keepends=True), mixed=True)
    verification.finish()
    assert (verification.records, verification.writers, verification.findings) == (22, 1, [])
    assert b"not a record" in run.stdout


async def test_the_head_follows_the_records_and_stands_at_the_last_when_the_process_has_stopped(
    tmp_path: Path, client: RedisClient, registry: CollectorRegistry
) -> None:
    async with auditing(tmp_path / "a", client, registry, "worker") as log:
        await log.record(actions.TASK_RUN, actor="x")
        unanchored = registry.get_sample_value
        await until(lambda: unanchored("assistant_audit_unanchored") == 0)
    heads = await RedisHeads(client).anchored()
    last = records_in(tmp_path / "a")[-1]
    assert heads.heads == {last["writer"]: Head(writer=last["writer"], seq=3, hash=last["hash"])}
    assert heads.since is not None
    assert heads.since <= datetime.now(UTC)
    assert flaws_in(tmp_path / "a", heads) == []


async def test_a_redis_that_is_away_stops_no_record_and_has_the_head_later(
    tmp_path: Path, private_redis: Any, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.telemetry.audit.log.ANCHOR_AGAIN_SECONDS", 0.01)
    settings = RedisSettings(redis_url=private_redis.url, redis_password=private_redis.password, redis_timeout_seconds=1)
    redis = connect(settings)
    private_redis.stop()
    async with auditing(tmp_path / "a", redis, registry, "worker") as log:
        await log.record(actions.TASK_RUN, actor="x")
        assert registry.get_sample_value("assistant_audit_unanchored") == 2
        private_redis.start()
        await until(lambda: registry.get_sample_value("assistant_audit_unanchored") == 0)
    await redis.close()


async def test_a_head_goes_forward_only(client: RedisClient) -> None:
    heads = RedisHeads(client)
    one, two, other = (Head(writer="w", seq=seq, hash=mark * 64) for seq, mark in ((1, "a"), (2, "b"), (2, "c")))
    assert await heads.advance(two)
    assert await heads.advance(two), "an answer that was lost"
    assert not await heads.advance(one)
    assert not await heads.advance(other)
    assert (await heads.anchored()).heads == {"w": two}


async def test_heads_of_processes_long_gone_are_forgotten(client: RedisClient) -> None:
    heads = RedisHeads(client)
    await heads.advance(Head(writer="old", seq=1, hash="a" * 64))
    await client.command("ZADD", "{assistant}:audit:moved", 1, "old")
    await heads.advance(Head(writer="new", seq=1, hash="b" * 64))
    assert list((await heads.anchored()).heads) == ["new"]


async def test_a_head_that_is_none_is_told(client: RedisClient) -> None:
    await client.command("HSET", HEADS, "w", "twelve")
    with pytest.raises(HeadsUnavailable, match="'w'"):
        await RedisHeads(client).anchored()


async def test_a_flood_of_refusals_is_one_record_a_period_and_every_one_is_counted(on_disk: tuple[AuditLog, Disk]) -> None:
    log, disk = on_disk
    notices = Notices(log, period_seconds=0.05)
    for number in range(1000):
        notices.note(actions.SIGN_IN_REFUSED, reason="invalid_signature", platform="slack", route="/events/slack")
        if not number % 250:
            await asyncio.sleep(0.06)
    notices.note(actions.SIGN_IN_REFUSED, reason="invalid_signature", platform="feishu")
    await notices.aclose()
    slack = [record["details"] for record in disk.records if record["details"].get("platform") == "slack"]
    assert "suppressed" not in slack[0]
    firsts = sum("suppressed" not in details for details in slack)
    assert firsts + sum(details.get("suppressed", 0) for details in slack) == 1000
    assert len(slack) <= 10
    assert [record["details"]["platform"] for record in disk.records[1:]].count("feishu") == 1


async def test_a_refusal_that_cannot_be_recorded_disturbs_nobody(on_disk: tuple[AuditLog, Disk]) -> None:
    log, disk = on_disk
    notices = Notices(log)
    disk.error = errno.EIO
    notices.note(actions.PERMISSION_DENIED, reason="role", actor="slack:T1:U2", each="slack:T1:U2", permission="ask")
    await notices.aclose()
    disk.error = None
    await log.record(actions.TASK_RUN, actor="x")
    assert disk.records[1]["action"] == "records.lost"


async def test_senders_who_are_known_are_told_apart_up_to_a_bound(
    on_disk: tuple[AuditLog, Disk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.telemetry.audit.notices.MOST_KEYS", 2)
    log, disk = on_disk
    notices = Notices(log)
    for name in ("U1", "U2", "U1", "U3", "U4"):
        notices.note(actions.PERMISSION_DENIED, reason="role", actor=name, each=name, permission="ask")
    await notices.aclose()
    told = [(record["actor"], record["details"].get("suppressed")) for record in disk.records[1:]]
    assert sorted(told, key=str) == [("U1", 1), ("U1", None), ("U2", None), ("U3", None), ("U4", 1)]


def test_a_stream_takes_all_of_it_although_it_takes_little_at_a_time() -> None:
    reading, writing = os.pipe()
    lines = b"x" * 50_000 + b"\n"
    StreamSink(writing).write(lines, NOW.date())
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == lines
