"""Whatever is done to records is found and named, and a log that is whole is called so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.telemetry.audit import actions
from app.telemetry.audit.__main__ import report
from app.telemetry.audit.heads import Anchored, from_json, to_json
from app.telemetry.audit.record import Entry, Head, canonical, digest, first, seal
from app.telemetry.audit.verify import LONGEST_LINE, Verification, lines_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WRITER = "host-7-0a0b0c0d"


def chain(count: int = 6, writer: str = WRITER, stopped: bool = True) -> list[bytes]:
    """``count`` lines of one writer, from its first to its last."""
    names = [actions.PROCESS_STARTED] + [actions.TASK_RUN] * (count - 2)
    names.append(actions.PROCESS_STOPPED if stopped else actions.TASK_RUN)
    head, lines = first(writer), []
    for number, name in enumerate(names, start=1):
        record = seal(Entry(action=name, actor="slack:T1:U2", subject=f"event {number}"), head, NOW)
        head = record.head
        lines.append(record.line)
    return lines


def head_of(line: bytes) -> Head:
    values = json.loads(line)
    return Head(writer=values["writer"], seq=values["seq"], hash=values["hash"])


def changed(line: bytes, *, rehash: bool = False, **values: Any) -> bytes:
    record = json.loads(line) | values
    if rehash:
        record["hash"] = digest(record)
    return canonical(record).encode() + b"\n"


def found(lines: list[bytes], heads: dict[str, Head] | None = None, **options: Any) -> list[tuple[str, str, str]]:
    """(flaw, seq, line number) of each finding."""
    verification = Verification(None if heads is None else Anchored(heads=heads), **options)
    verification.read("log", lines)
    verification.finish()
    for finding in verification.findings:
        assert finding.writer in (WRITER, "") or finding.flaw in ("missing", "edited", "unanchored")
    return [(finding.flaw.value, finding.seq, finding.place.partition(":")[2]) for finding in verification.findings]


def test_a_whole_log_has_no_flaw() -> None:
    lines = chain()
    assert found(lines, {WRITER: head_of(lines[-1])}) == []
    assert found(lines, {WRITER: head_of(lines[2])}) == [], "a process that goes on writing is ahead of its head"


@pytest.mark.parametrize("field", ["actor", "tenant", "subject", "outcome", "action", "at"])
def test_an_edited_record_is_named(field: str) -> None:
    lines = chain()
    lines[2] = changed(lines[2], **{field: "somebody else"})
    assert found(lines) == [("edited", "3", "3")]


@pytest.mark.parametrize("values", [{"hash": "f" * 64}, {"prev": "f" * 64}, {"seq": 30}, {"seq": 1}, {"details": {"count": 1}}])
def test_whatever_of_it_was_edited_one_finding_names_the_line(values: dict[str, Any]) -> None:
    lines = chain()
    lines[2] = changed(lines[2], **values)
    assert [(flaw, line) for flaw, _, line in found(lines)] == [("edited", "3")]


def test_a_record_under_another_writers_name_is_named_with_the_gap_it_leaves() -> None:
    lines = chain()
    lines[2] = changed(lines[2], writer="other-1-00000000")
    assert found(lines) == [("edited", "3", "3"), ("deleted", "3", "4")]


def test_an_edited_record_with_a_new_hash_is_named() -> None:
    lines = chain()
    lines[2] = changed(lines[2], rehash=True, actor="somebody else")
    assert found(lines) == [("replaced", "3", "3")]


def test_a_tail_that_was_written_anew_differs_from_its_head() -> None:
    lines = chain()
    head = {WRITER: head_of(lines[-1])}
    prev = json.loads(lines[1])["hash"]
    for number in range(2, 6):
        lines[number] = changed(lines[number], rehash=True, actor="somebody else", prev=prev)
        prev = json.loads(lines[number])["hash"]
    assert found(lines) == [], "the chain alone does not show it"
    assert found(lines, head) == [("replaced", "6", "6")]


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        (slice(2, 3), [("deleted", "3", "3")]),
        (slice(1, 4), [("deleted", "2-4", "2")]),
        (slice(0, 1), [("deleted", "1", "1")]),
    ],
)
def test_deleted_records_are_named_by_number_and_place(gone: slice, expected: list[tuple[str, str, str]]) -> None:
    lines = chain()
    del lines[gone]
    assert found(lines) == expected


def test_exchanged_records_are_reordered_not_deleted() -> None:
    lines = chain()
    lines[2], lines[3] = lines[3], lines[2]
    assert found(lines) == [("reordered", "3", "4")]


def test_a_record_that_stands_twice_is_named() -> None:
    lines = chain()
    lines.insert(4, lines[1])
    assert found(lines) == [("repeated", "2", "5")]


def test_a_cut_end_is_seen_by_the_head() -> None:
    lines = chain(12)
    head = {WRITER: head_of(lines[-1])}
    assert found(lines[:10]) == []
    assert found(lines[:10], head) == [("truncated", "11-12", "10")]


def test_a_writer_without_records_and_records_without_a_head_are_named() -> None:
    lines = chain()
    gone = Head(writer="gone-1-00000000", seq=4, hash="a" * 64)
    assert found(lines, {gone.writer: gone}) == [("missing", "1-4", ""), ("unanchored", "6", "6")]


def test_who_stopped_before_heads_were_kept_is_counted_and_no_flaw() -> None:
    for since, expected in ((NOW, 0), (NOW + timedelta(milliseconds=1), 1)):
        verification = Verification(Anchored(heads={}, since=since))
        verification.read("log", chain())
        verification.finish()
        assert (verification.older, verification.flaws) == (expected, 1 - expected)
        assert ("1 writer stopped before" in report(verification, anchored=True)) == bool(expected)


def test_a_record_behind_the_last_one_is_named() -> None:
    lines = chain()
    more = seal(Entry(action=actions.TASK_RUN, actor="x"), head_of(lines[-1]), NOW)
    assert found([*lines, more.line]) == [("continued", "7", "7")]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        b'{"audit": true}\n',
        b'{"v":1}\n',
        chain()[0].replace(b'"seq":1', b'"seq":true'),
        chain()[0].replace(b'"seq":1', b'"seq":1e400'),
        chain()[0].replace(b'"actor":"slack:T1:U2"', b'"actor":"somebody","actor":"slack:T1:U2"'),
        chain()[0].replace(b'"writer":"host', b'"writer":"\\u001b[2J'),
    ],
)
def test_a_line_that_is_no_record_is_named(line: bytes) -> None:
    (flaw, _, number), *_ = found([line or b"\n"])
    assert flaw in ("unreadable", "unknown format")
    assert number == "1"


def test_a_record_without_its_end_is_told_as_that() -> None:
    lines = chain()
    verification = Verification()
    verification.read("log", [*lines[:5], lines[5][:50]])
    verification.finish()
    (finding,) = verification.findings
    assert (finding.flaw, finding.place) == ("unreadable", "log:6")
    assert "verify again" in finding.words


def test_a_format_of_another_version_is_named_as_that() -> None:
    lines = chain()
    lines[5] = changed(lines[5], v=2)
    assert found(lines) == [("unknown format", "", "6")]


def test_a_part_of_a_log_may_begin_anywhere() -> None:
    lines = chain()
    heads = {WRITER: head_of(lines[-1]), "gone": Head(writer="gone", seq=4, hash="a" * 64)}
    assert found(lines[3:], heads, partial=True) == []
    assert found([lines[3], lines[5]], heads, partial=True) == [("deleted", "5", "2")]


def test_records_are_found_among_other_lines_and_behind_a_prefix() -> None:
    one, other = chain(), chain(5, "pod-1-11111111")
    lines = [b"[pod/worker] starting\n", b'{"event": "request"}\n', b"\xff\xfe\n"]
    for pair in zip(one, other, strict=False):
        lines += [b"2026-11-25T12:00:00Z [pod/worker] " + pair[0], pair[1]]
    verification = Verification()
    verification.read("pods.log", [*lines, one[-1]], mixed=True)
    verification.finish()
    assert (verification.records, verification.writers, verification.findings) == (11, 2, [])


def test_a_line_without_end_fills_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"x" * (3 * LONGEST_LINE) + b"\n" + chain()[0])
    with file.open("rb") as opened:
        assert list(lines_of(opened)) == [None, chain()[0]]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_change_of_the_lines_goes_unseen(data: st.DataObject) -> None:
    """Any other sequence of these lines, one byte of them changed or none, is flawed when it is held against the head."""
    lines = chain(5)
    heads = {WRITER: head_of(lines[-1])}
    other = data.draw(st.lists(st.sampled_from(lines), max_size=7))
    if other:
        number = data.draw(st.integers(0, len(other) - 1))
        place = data.draw(st.integers(0, len(other[number]) - 2))
        byte = data.draw(st.sampled_from(b'09az"{},: '))
        other[number] = other[number][:place] + bytes([byte]) + other[number][place + 1 :]
    assert (found(other, heads) == []) == (other == lines)


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "app.telemetry.audit", *arguments],
            input=stdin,
            capture_output=True,
            env={"PATH": os.environ["PATH"], **environment},
            timeout=60,
            check=False,
        )
        text = subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in text.stderr
        return text

    return run


def test_the_command_says_that_a_folder_is_whole_or_prints_a_table(command: Any, tmp_path: Path) -> None:
    lines = chain()
    (tmp_path / f"{WRITER}.2026-11-24.jsonl").write_bytes(b"".join(lines[:3]))
    (tmp_path / f"{WRITER}.2026-11-25.jsonl").write_bytes(b"".join(lines[3:]))
    heads = tmp_path / "heads.json"
    heads.write_text(to_json(Anchored(heads={WRITER: head_of(lines[-1])}, since=NOW)))
    done = command("verify", "--directory", str(tmp_path), "--heads", str(heads))
    assert (done.returncode, done.stdout) == (0, "6 records of 1 writer, unbroken (as far as each head is anchored).\n")
    (tmp_path / f"{WRITER}.2026-11-25.jsonl").write_bytes(b"".join(lines[3:5]))
    done = command("verify", "--heads", str(heads), AUDIT_DIRECTORY=str(tmp_path))
    assert done.returncode == 1
    header, row = (line.split("  ") for line in done.stdout.splitlines()[:2])
    assert header[0] == "FLAW"
    assert [cell.strip() for cell in row if cell.strip()] == [
        "truncated",
        WRITER,
        "6",
        f"{tmp_path}/{WRITER}.2026-11-25.jsonl:2",
        "the head says 6, the records end at 5",
    ]


def test_the_command_reads_exported_logs_from_standard_input(command: Any) -> None:
    done = command("verify", "-", stdin=b"a line\n" + b"".join(chain()))
    assert (done.returncode, done.stdout.split(" (")[0]) == (0, "6 records of 1 writer, unbroken")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify",), "AUDIT_DIRECTORY is not set"),
        (("verify", "/nonexistent.log"), "/nonexistent.log: cannot be read (No such file or directory)"),
        (("verify", "-", "--heads", "/dev/null"), "not a file that"),
        (("verify", "-", "--directory", "/tmp"), "name --directory or files, not both"),
        (("verify", "-", "--heads", "redis"), "the heads cannot be read: Redis is not reachable"),
    ],
)
def test_what_cannot_be_done_is_one_line(command: Any, free_port: int, arguments: tuple[str, ...], words: str) -> None:
    done = command(*arguments, REDIS_URL=f"redis://127.0.0.1:{free_port}/0")
    assert done.returncode == 2
    assert words in done.stderr


def test_heads_are_read_from_redis_and_put_away_as_a_file(command: Any, redis_server: Any, tmp_path: Path) -> None:
    redis_server.command("FLUSHALL")
    lines = chain()
    redis_server.command("HSET", "{assistant}:audit:heads", WRITER, f"6 {head_of(lines[-1]).hash}")
    environment = {
        "REDIS_URL": redis_server.url,
        "REDIS_PASSWORD": redis_server.password,
        "REDIS_TIMEOUT_SECONDS": "5",
    }
    shown = command("heads", **environment)
    assert from_json(shown.stdout) == Anchored(heads={WRITER: head_of(lines[-1])})
    (tmp_path / "heads.json").write_text(shown.stdout)
    whole, cut = b"".join(lines), b"".join(lines[:-1])
    assert command("verify", "-", "--heads", "redis", stdin=whole, **environment).returncode == 0
    assert command("verify", "-", "--heads", "redis", stdin=cut, **environment).returncode == 1
    assert command("verify", "-", "--heads", str(tmp_path / "heads.json"), stdin=cut).returncode == 1


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
