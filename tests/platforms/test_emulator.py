"""The emulated platform as a person runs it: its lines, its record, and what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import httpx2
import pytest

from app.pipeline.event import Event
from app.pipeline.responses import Response
from app.platforms.generic import GenericPlatform
from app.platforms.platform import CalendarEntry, GivenUp
from app.settings import WorkerSettings

FOLDER = Path(__file__).parent / "generic"
WEBHOOK_SECRET = "whsec_" + "B" * 43 + "="
EVENT = Event(
    id="msg_1",
    platform="generic",
    tenant="default",
    conversation="conversation-1",
    sender="ada",
    text="x",
    received_at=datetime.now(UTC),
)


class Process:
    def __init__(self, folder: Path) -> None:
        self.files = {"client": folder / "client", "webhook": folder / "webhook"}
        self.files["client"].write_text("client-secret\n")
        self.files["webhook"].write_text(WEBHOOK_SECRET + "\n")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]})
        assert self.line() == f"platform  ready at {self.url}"

    @property
    def command(self) -> list[str]:
        secrets = ["--client-secret-file", str(self.files["client"]), "--webhook-secret-file", str(self.files["webhook"])]
        return [sys.executable, str(FOLDER), "--port", str(self.port), *secrets]

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(10) == 0


def platform(url: str) -> GenericPlatform:
    settings = {"generic_url": url, "generic_client_secret": "client-secret", "generic_webhook_secret": WEBHOOK_SECRET}
    return GenericPlatform.from_settings(WorkerSettings.model_validate({**settings, "inference_api_key": "x"}))


async def test_it_says_what_it_received_in_lines_for_people(emulator: Process) -> None:
    assistant = platform(emulator.url)
    entry = CalendarEntry(summary="周会", start=date(2026, 12, 1))
    await assistant.create_calendar_event(EVENT, entry, "k" * 37)
    await assistant.send(EVENT, *assistant.render(Response("已创建日程\x1b[31m\nforged line")), "m" * 37)
    await assistant.send(EVENT, *assistant.render(Response("again")), "m" * 37)
    with pytest.raises(GivenUp):
        await assistant.create_calendar_event(EVENT, CalendarEntry(summary=" ", start=date(2026, 12, 1)), "n" * 37)
    await assistant.aclose()
    assert [emulator.line() for _ in range(5)] == [
        "token     issued to assistant",
        "calendar  created 周会 on 2026-12-01",
        "message   → conversation-1: 已创建日程 [31m forged line",
        "message   repeated for conversation-1: no second effect",
        "refused   POST /calendar/events: 400 summary is empty",
    ]
    record = httpx2.get(f"{emulator.url}/record").json()
    assert [entry["summary"] for entry in record["calendar"]] == ["周会"]
    assert len(record["messages"]) == len(record["repeated"]) == len(record["refused"]) == 1


def test_faults_can_be_asked_for_from_outside(emulator: Process) -> None:
    fault = {"path": "/record", "kind": "status", "status": 429, "retry_after": "3", "times": 2}
    assert httpx2.post(f"{emulator.url}/faults", json=fault).status_code == 200
    answer = httpx2.get(f"{emulator.url}/record")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    httpx2.delete(f"{emulator.url}/faults")
    assert httpx2.get(f"{emulator.url}/record").status_code == 200


def test_a_taken_port_is_one_sentence(emulator: Process) -> None:
    second = subprocess.run(emulator.command, capture_output=True, text=True, timeout=20)
    assert second.returncode == 1
    assert str(emulator.port) in second.stderr and "Traceback" not in second.stderr


def test_an_unsigned_message_and_a_call_without_a_token_are_refused(emulator: Process) -> None:
    message = {"event": "1", "conversation": "c", "text": "t"}
    assert httpx2.post(f"{emulator.url}/messages", json=message).status_code == 401
    entry = {"summary": "s", "start": "2026-12-01"}
    assert httpx2.post(f"{emulator.url}/calendar/events", json=entry).status_code == 401
    assert httpx2.post(f"{emulator.url}/oauth/token", data={"grant_type": "client_credentials"}).status_code == 401


async def test_a_key_used_for_another_entry_is_refused(emulator: Process) -> None:
    assistant = platform(emulator.url)
    await assistant.create_calendar_event(EVENT, CalendarEntry(summary="a", start=date(2026, 12, 1)), "k" * 37)
    with pytest.raises(GivenUp, match="422"):
        await assistant.create_calendar_event(EVENT, CalendarEntry(summary="b", start=date(2026, 12, 1)), "k" * 37)
    await assistant.aclose()


async def test_the_sender_prints_the_answer_of_the_assistant(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(WEBHOOK_SECRET)
    received: list[bytes] = []

    async def assistant(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(assistant, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        command = [sys.executable, str(FOLDER / "sender.py"), "--url", url, "--webhook-secret-file", str(secret)]
        process = await asyncio.create_subprocess_exec(*command, "--text", "hi", stdout=subprocess.PIPE)
        shown, _ = await process.communicate()
    assert (process.returncode, shown) == (0, b"200 {}\n")
    assert b"POST /events " in received[0] and b"webhook-signature: v1," in received[0]
