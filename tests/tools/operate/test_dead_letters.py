"""What the operator's command says and does, against the gateway's own routes."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.principal import OPERATOR, PRINCIPAL
from app.gateway.administration import administration_routes
from app.gateway.api import router
from app.http import errors
from app.pipeline.event import Event
from app.pipeline.memory_queue import MemoryQueue
from app.pipeline.queue import State
from app.tenants.tenant import Tenants
from tools.operate import dead_letters
from tools.operate.__main__ import main
from tools.operate.dead_letters import Administration
from tools.stack.assistant import Assistant, AssistantError

CHECKOUT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Kept:
    async def record(self, action: str, **_: Any) -> None:
        return


class Served(httpx2.BaseTransport):
    """The application, without a socket."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        async def ask() -> httpx2.Response:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(self._app)) as client:
                return await client.send(request)

        answer = asyncio.run(ask())
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue()


@pytest.fixture
def office(queue: MemoryQueue) -> Iterator[Administration]:
    app = FastAPI()
    errors.install(app)
    app.include_router(administration_routes(queue, lambda: Tenants(()), Kept()))
    app.include_router(router(queue, None))  # type: ignore[arg-type]

    async def edge(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})[PRINCIPAL] = OPERATOR
        await app(scope, receive, send)

    assistant = Assistant(url="https://gateway", api_key="k", ca_certificate=None, make_option=" STACK=trial")
    with httpx2.Client(transport=Served(edge), base_url="https://gateway") as client:
        yield Administration(client, assistant)


@pytest.fixture
def set_aside(queue: MemoryQueue) -> Callable[..., str]:
    def put(number: str, state: State = State.DEAD, reason: str = "the platform answered 404") -> str:
        async def act() -> str:
            event = Event(
                id=number, platform="slack", tenant="T1", conversation=number, sender="U1", text="canary", received_at=NOW
            )
            await queue.deliver(event)
            lease = await queue.lease("worker")
            assert lease is not None
            await (queue.dead_letter if state is State.DEAD else queue.park)(lease, reason)
            return event.key

        return asyncio.run(act())

    return put


def test_nothing_is_said_in_words(office: Administration, capsys: pytest.CaptureFixture[str]) -> None:
    assert dead_letters.show_list(office, 100, "", as_json=False) == 0
    assert dead_letters.show_list(office, 100, "dead", as_json=False) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Nothing waits for a person: no dead letters, no events of unknown outcome.",
        "Nothing waits for a person: no dead letters.",
    ]


def test_the_list_is_a_table_with_what_to_type_next(
    office: Administration, set_aside: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    set_aside("1", reason="\x1b[31mred\nline")
    assert dead_letters.show_list(office, 100, "", as_json=False) == 0
    out = capsys.readouterr().out
    header, row = out.splitlines()[:2]
    assert header.split() == ["SINCE", "(UTC)", "STATE", "ATTEMPTS", "EVENT", "REASON"]
    assert row.split()[2:] == ["dead", "1", "slack:T1:1", "\\x1b[31mred\\nline"]
    assert row.index("slack:T1:1") == header.index("EVENT")
    assert "\x1b" not in out
    assert "make dead-letters STACK=trial REPLAY=" in out
    assert "unknown" not in out
    set_aside("2", State.UNKNOWN)
    dead_letters.show_list(office, 1, "", as_json=False)
    assert "1 event; more wait" in capsys.readouterr().out
    dead_letters.show_list(office, 100, "unknown", as_json=False)
    assert "before you replay it" in capsys.readouterr().out


def test_the_list_is_json_on_request_over_all_pages(
    office: Administration,
    set_aside: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = [set_aside(str(number)) for number in range(5)]
    monkeypatch.setattr(dead_letters, "PAGE", 2)
    assert dead_letters.show_list(office, 4, "", as_json=True) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (len(shown["dead_letters"]), shown["more"]) == (4, True)
    letters, more = office.waiting(100)
    assert (sorted(letter["event"] for letter in letters), more) == (sorted(keys), False)


def test_one_is_shown_with_its_way(
    office: Administration, set_aside: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    key = set_aside("it's/1", State.UNKNOWN)
    assert dead_letters.show_one(office, key, as_json=False) == 0
    out = capsys.readouterr().out
    assert [line.split()[1] for line in out.splitlines() if line.startswith("  20")] == ["accepted", "leased", "unknown"]
    assert """REPLAY='slack:T1:it'"'"'s/1'""" in out
    assert dead_letters.TWICE in out
    assert "canary" not in out


def test_a_replay_of_an_unknown_outcome_warns_before_it_acts(
    office: Administration, set_aside: Callable[..., str], capsys: pytest.CaptureFixture[str], queue: MemoryQueue
) -> None:
    dead, unknown = set_aside("1"), set_aside("2", State.UNKNOWN)
    assert dead_letters.replay(office, dead) == 0
    shown = capsys.readouterr()
    assert (shown.err, "slack:T1:1 was dead and is queued again" in shown.out) == ("", True)
    assert dead_letters.replay(office, unknown) == 0
    assert "happens twice" in capsys.readouterr().err
    assert asyncio.run(queue.set_aside()) == []


def test_a_discarded_one_is_gone(
    office: Administration, set_aside: Callable[..., str], capsys: pytest.CaptureFixture[str], queue: MemoryQueue
) -> None:
    assert dead_letters.discard(office, set_aside("1")) == 0
    assert capsys.readouterr().out == "slack:T1:1 was dead and is forgotten.\n"
    assert asyncio.run(queue.set_aside()) == []


@pytest.mark.parametrize("act", [dead_letters.replay, dead_letters.discard])
def test_a_wrong_key_is_told_what_it_is(
    office: Administration, set_aside: Callable[..., str], act: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssistantError, match=r"No event slack:T1:9 is known.*make dead-letters STACK=trial"):
        act(office, "slack:T1:9")
    key = set_aside("1")
    dead_letters.replay(office, key)
    with pytest.raises(AssistantError, match=r"slack:T1:1 waits for nobody: it is queued\."):
        act(office, key)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dead-letters", "--key", "a", "--replay", "b"], "one of KEY, REPLAY and DISCARD"),
        (["dead-letters", "--limit", "0"], "from 1 to"),
        (["dead-letters", "--state", "done"], "invalid choice"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(arguments, {})
    assert exit.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", ["key", "replay", "discard"])
@pytest.mark.parametrize("text", ["slack:T1:it's $HOME", "`touch hit`", "$(shell touch hit)", "-你好", "x $$ y", ""])
def test_a_key_reaches_the_program_as_it_was_typed(tmp_path: Path, name: str, text: str) -> None:
    makefile = (CHECKOUT / "Makefile").read_text().replace(": environment ##", ": ##")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nfor word; do case $word in --{name}=*) printf "%s" "${{word#*=}}";; esac; done\n')
    python.chmod(0o755)
    (tmp_path / "Makefile").write_text(makefile)
    command = ["make", "-s", "dead-letters", f"{name.upper()}={text}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, text), done.stderr
    assert not (tmp_path / "hit").exists()
