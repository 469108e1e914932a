"""The emulated workspace, driven by Slack's own clients: what they take for Slack, the application meets too."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from slack_bolt import App
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request import BoltRequest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.oauth import AuthorizeUrlGenerator
from slack_sdk.oauth.installation_store import Bot
from slack_sdk.oauth.token_rotation import TokenRotator
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web import WebClient
from slack_sdk.web.async_client import AsyncWebClient
from slack_workspace.delivery import signed_headers
from slack_workspace.emulator import APP_TOKEN, BOT_TOKEN, CLIENT_ID, CLIENT_SECRET, SIGNING_SECRET, Emulator
from slack_workspace.workspace import BOT_USER

CALLBACK = "https://assistant.example/oauth/slack/callback"
FOLDER = Path(__file__).parent / "slack_workspace"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(subscribed=(), redirect_uris=(CALLBACK,), rotation=True) as running:
        yield running


@pytest.fixture
def web(emulator: Emulator) -> WebClient:
    return WebClient(BOT_TOKEN, base_url=emulator.api_url)


def error_of(raised: pytest.ExceptionInfo[SlackApiError]) -> str:
    return str(raised.value.response["error"])


def test_slacks_client_posts_updates_and_reads_a_thread(emulator: Emulator, web: WebClient) -> None:
    assert web.auth_test()["user_id"] == BOT_USER
    asked = emulator.write("@assistant hello & <b>", channel="C0GENERAL")
    metadata = {"event_type": "e", "event_payload": {"key": "k"}}
    posted = web.chat_postMessage(channel="C0GENERAL", markdown_text="**hi**", thread_ts=asked, metadata=metadata)
    web.chat_update(channel="C0GENERAL", ts=posted["ts"], markdown_text="**bye**")
    plain = web.conversations_replies(channel="C0GENERAL", ts=asked)["messages"]
    assert [message["text"] for message in plain] == [f"<@{BOT_USER}> hello &amp; &lt;b&gt;", "**bye**"]
    assert "metadata" not in plain[1]
    told = web.conversations_replies(channel="C0GENERAL", ts=asked, oldest=asked, include_all_metadata=True)["messages"]
    assert told[1]["metadata"] == metadata


def test_slacks_client_pages_through_a_thread(emulator: Emulator, web: WebClient) -> None:
    asked = emulator.write("one", channel="C0GENERAL")
    for number in range(5):
        emulator.write(str(number), channel="C0GENERAL", thread_ts=asked)
    pages = list(web.conversations_replies(channel="C0GENERAL", ts=asked, limit=2))
    assert [len(page["messages"]) for page in pages] == [2, 2, 2]


def test_slacks_client_uploads_a_file(emulator: Emulator, web: WebClient) -> None:
    asked = emulator.write("one", channel="C0GENERAL")
    web.files_upload_v2(content="BEGIN:VCALENDAR", filename="a.ics", channel="C0GENERAL", thread_ts=asked)
    assert emulator.answers[0]["files"][0]["name"] == "a.ics"
    (file,) = emulator.workspace.files.values()
    assert file.content == b"BEGIN:VCALENDAR"


@pytest.mark.filterwarnings("ignore:The top-level `text` argument is missing")
def test_slacks_client_hears_its_own_error_words(emulator: Emulator, web: WebClient) -> None:
    def refused(**arguments: Any) -> str:
        with pytest.raises(SlackApiError) as raised:
            web.chat_postMessage(**{"channel": "C0GENERAL", "text": "x", **arguments})
        return error_of(raised)

    assert refused(channel="C0NOWHERE") == "channel_not_found"
    assert refused(channel="C0ELSEWHERE") == "not_in_channel"
    assert refused(channel="C0OLD") == "is_archived"
    assert refused(text="") == "no_text"
    assert refused(text="", markdown_text="x" * 12_001) == "msg_too_long"
    assert refused(markdown_text="x") == "markdown_text_conflict"
    assert refused(metadata={"event_type": 1}) == "invalid_metadata_format"
    with pytest.raises(SlackApiError, match="not_authed"):
        WebClient(base_url=emulator.api_url).auth_test()
    assert refused(token="xoxb-other") == "invalid_auth"
    assert refused(token=APP_TOKEN) == "not_allowed_token_type"
    emulator.workspace.tokens[BOT_TOKEN].scopes = "im:history"
    with pytest.raises(SlackApiError) as raised:
        web.chat_postMessage(channel="C0GENERAL", text="x")
    assert (raised.value.response["error"], raised.value.response["needed"]) == ("missing_scope", "chat:write")
    emulator.workspace.expire_tokens()
    assert refused() == "token_expired"
    assert {entry["error"] for entry in emulator.refused} >= {"is_archived", "token_expired"}


def test_reading_methods_take_no_json(emulator: Emulator) -> None:
    answer = httpx2.post(
        f"{emulator.api_url}conversations.replies",
        json={"channel": "C0GENERAL", "ts": "1.1"},
        headers={"Authorization": f"Bearer {BOT_TOKEN}"},
    )
    assert answer.json() == {"ok": False, "error": "invalid_arguments"}


def test_slacks_client_waits_as_long_as_it_is_told(emulator: Emulator, web: WebClient) -> None:
    emulator.workspace.channels["C0GENERAL"].seconds_apart = 1.0
    web.chat_postMessage(channel="C0GENERAL", text="one")
    with pytest.raises(SlackApiError) as raised:
        web.chat_postMessage(channel="C0GENERAL", text="two")
    assert (raised.value.response.status_code, raised.value.response.headers["Retry-After"]) == (429, "1")
    web.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=2))
    web.chat_postMessage(channel="C0GENERAL", text="two")
    assert [message["text"] for message in emulator.answers] == ["one", "two"]


def code_for(emulator: Emulator, **query: str) -> tuple[str, str]:
    """The code and the state with which the browser comes back."""
    url = AuthorizeUrlGenerator(
        client_id=CLIENT_ID,
        scopes=["chat:write"],
        redirect_uri=CALLBACK,
        authorization_url=f"{emulator.url}/oauth/v2/authorize",
    ).generate(state="st-1")
    answer = httpx2.get(url, params=dict(httpx2.URL(url).params) | query, follow_redirects=False)
    assert answer.status_code == 302
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    return back["code"][0], back["state"][0]


def test_slacks_client_installs_and_rotates_tokens(emulator: Emulator, web: WebClient) -> None:
    code, state = code_for(emulator)
    assert state == "st-1"
    issued = web.oauth_v2_access(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, code=code, redirect_uri=CALLBACK)
    assert issued["access_token"].startswith("xoxe.xoxb-1-") and issued["expires_in"] == 43_200
    bot = Bot(
        bot_token=issued["access_token"],
        bot_id="B1",
        bot_user_id=BOT_USER,
        bot_scopes=issued["scope"],
        bot_refresh_token=issued["refresh_token"],
        bot_token_expires_in=60,
        installed_at=0.0,
    )
    rotator = TokenRotator(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, client=web)
    rotated = rotator.perform_bot_token_rotation(bot=bot)
    assert rotated is not None and rotated.bot_token != bot.bot_token
    assert web.auth_test(token=rotated.bot_token)["ok"]
    with pytest.raises(SlackApiError) as raised:
        web.oauth_v2_access(
            client_id=CLIENT_ID, client_secret=CLIENT_SECRET, grant_type="refresh_token", refresh_token=issued["refresh_token"]
        )
    assert error_of(raised) == "invalid_refresh_token"


def test_wrong_installations_are_refused(emulator: Emulator, web: WebClient) -> None:
    def exchange(**changes: str) -> str:
        right = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uri": CALLBACK}
        with pytest.raises(SlackApiError) as raised:
            web.oauth_v2_access(**{**right, **changes})
        return error_of(raised)

    code, _ = code_for(emulator)
    assert exchange(code=code, redirect_uri="https://evil.example/") == "bad_redirect_uri"
    assert exchange(code=code, client_secret="wrong") == "bad_client_secret"
    assert exchange(code=code, client_id="9.9") == "invalid_client_id"
    assert exchange(code="0" * 32) == "invalid_code"
    web.oauth_v2_access(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, redirect_uri=CALLBACK, code=code)
    assert exchange(code=code) == "code_already_used"
    verifier = "v" * 64
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    guarded, _ = code_for(emulator, code_challenge=challenge, code_challenge_method="S256")
    assert exchange(code=guarded) == "invalid_code_verifier"
    basic = httpx2.post(
        f"{emulator.api_url}oauth.v2.access",
        data={"code": guarded, "redirect_uri": CALLBACK, "code_verifier": verifier},
        auth=(CLIENT_ID, CLIENT_SECRET),
    ).json()
    assert basic["ok"] and basic["team"]["id"] == "T0ACME"
    for query in ({"redirect_uri": "https://evil.example/"}, {"client_id": "9.9"}):
        right = {"client_id": CLIENT_ID, "scope": "chat:write", "redirect_uri": CALLBACK}
        assert httpx2.get(f"{emulator.url}/oauth/v2/authorize", params=right | query).status_code == 400


# --- events by webhook ------------------------------------------------------------------------------------------------------


class Listener:
    """A request URL: answers with the statuses it is given, then 200; keeps what came."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.requests = list(statuses), list[tuple[dict[str, str], bytes]]()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                listener.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                value = json.loads(body)
                answer = json.dumps({"challenge": value.get("challenge")}).encode()
                self.send_response(listener.statuses.pop(0) if listener.statuses else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *arguments: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/events/slack"


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_events_are_signed_as_slacks_sdk_verifies(listener: Listener) -> None:
    with Emulator(request_url=listener.url) as emulator:
        assert emulator.challenge()
        emulator.write("@assistant 巴黎?", channel="C0GENERAL")
        assert emulator.wait_for(lambda it: len(it.attempts) == 1)
    for headers, body in listener.requests:
        assert SignatureVerifier(SIGNING_SECRET).is_valid_request(body, headers)
        assert not SignatureVerifier("another").is_valid_request(body, headers)


def test_bolt_takes_the_events_for_slacks(listener: Listener) -> None:
    seen: list[dict[str, Any]] = []
    app = App(
        signing_secret=SIGNING_SECRET,
        authorize=lambda **_: AuthorizeResult(enterprise_id=None, team_id="T0ACME", bot_token="xoxb-x", bot_user_id=BOT_USER),
        process_before_response=True,
    )
    app.event("app_mention")(lambda event: seen.append(event))
    with Emulator(request_url=listener.url) as emulator:
        emulator.write("@assistant hello", channel="C0GENERAL")
        assert emulator.wait_for(lambda it: len(it.attempts) == 1)
    headers, body = listener.requests[0]
    answer = app.dispatch(BoltRequest(body=body.decode(), headers=headers))
    assert answer.status == 200
    assert seen[0]["text"] == f"<@{BOT_USER}> hello"


def test_an_event_that_is_not_taken_comes_three_times_more(listener: Listener) -> None:
    listener.statuses = [500, 404, 302, 503]
    with Emulator(request_url=listener.url, pace=0.0005) as emulator:
        emulator.write("hello")
        assert emulator.wait_for(lambda it: bool(it.undelivered))
        assert [(attempt.retry, attempt.status) for attempt in emulator.attempts] == [(0, 500), (1, 404), (2, 302), (3, 503)]
    numbers = [headers.get("x-slack-retry-num") for headers, _ in listener.requests]
    assert numbers == [None, "1", "2", "3"]
    assert listener.requests[1][0]["x-slack-retry-reason"] == "http_error"
    assert len({json.loads(body)["event_id"] for _, body in listener.requests}) == 1


def test_one_mention_may_come_as_two_events(listener: Listener) -> None:
    with Emulator(request_url=listener.url, subscribed=("app_mention", "message.channels")) as emulator:
        emulator.write("@assistant hello", channel="C0GENERAL")
        assert emulator.wait_for(lambda it: len(it.attempts) == 2)
    events = [json.loads(body) for _, body in listener.requests]
    assert {event["event"]["type"] for event in events} == {"app_mention", "message"}
    assert len({event["event_id"] for event in events}) == 2 and len({event["event"]["ts"] for event in events}) == 1


def test_signed_headers_are_what_slack_documents() -> None:
    headers = signed_headers("s" * 32, b"{}", 1531420618)
    assert headers["X-Slack-Signature"] == SignatureVerifier("s" * 32).generate_signature(timestamp="1531420618", body=b"{}")


# --- events by Socket Mode --------------------------------------------------------------------------------------------------


async def test_slacks_socket_mode_client_receives_acknowledges_and_reconnects() -> None:
    with Emulator(pace=0.001, acknowledge_seconds=0.5) as emulator:
        client = SocketModeClient(APP_TOKEN, web_client=AsyncWebClient(base_url=emulator.api_url), ping_interval=0.2)
        client.proxy = client.web_client.proxy = None
        seen: list[SocketModeRequest] = []

        async def listen(client: Any, request: SocketModeRequest) -> None:
            seen.append(request)
            if len(seen) > 1:  # the first is left without an answer
                await client.send_socket_mode_response({"envelope_id": request.envelope_id})

        client.socket_mode_request_listeners.append(listen)
        await client.connect()
        emulator.write("hello")
        assert await asyncio.to_thread(emulator.wait_for, lambda it: any(attempt.taken for attempt in it.attempts))
        assert [(request.type, request.retry_attempt) for request in seen] == [("events_api", 0), ("events_api", 1)]
        assert seen[0].payload["event"]["text"] == "hello"
        await asyncio.to_thread(emulator.disconnect_sockets)
        emulator.write("again")
        assert await asyncio.to_thread(emulator.wait_for, lambda it: len([1 for one in it.attempts if one.taken]) == 2)
        await client.close()


async def test_a_bot_token_opens_no_socket() -> None:
    with Emulator() as emulator:
        with pytest.raises(SlackApiError) as raised:
            await AsyncWebClient(base_url=emulator.api_url).apps_connections_open(app_token=BOT_TOKEN)
        assert error_of(raised) == "not_allowed_token_type"
        answer = await asyncio.to_thread(httpx2.get, f"{emulator.url}/link?ticket=none&app_id=A")
        assert answer.status_code == 401


# --- for a person -----------------------------------------------------------------------------------------------------------


def test_a_person_watches_and_writes(tmp_path: Path, listener: Listener) -> None:
    for name, value in {"signing": SIGNING_SECRET, "bot": BOT_TOKEN}.items():
        (tmp_path / name).write_text(value)
    command = [sys.executable, str(FOLDER), "--port", "0", "--request-url", listener.url, "--pace", "0.001"]
    files = ["--signing-secret-file", str(tmp_path / "signing"), "--bot-token-file", str(tmp_path / "bot")]
    process = subprocess.Popen([*command, *files], stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]})
    try:
        assert process.stdout is not None
        ready = process.stdout.readline().strip()
        url = ready.removeprefix("slack     ready at ")
        assert url.startswith("http://127.0.0.1:"), ready
        told = httpx2.post(f"{url}/say", json={"text": "@assistant <b>what?", "channel": "C0GENERAL"}).json()
        assert process.stdout.readline().rstrip() == "ada       #general @assistant &lt;b&gt;what?"
        WebClient(BOT_TOKEN, base_url=f"{url}/api/").chat_postMessage(
            channel="C0GENERAL", text="this\x1b[31m", thread_ts=told["ts"]
        )
        assert process.stdout.readline().rstrip() == "assistant #general   ↳ this [31m"
        page = httpx2.get(url).text
        assert "<b>assistant</b>" in page and "&amp;lt;b&amp;gt;what?" in page
        assert httpx2.post(f"{url}/say", data={"text": "hello"}, follow_redirects=False).status_code == 303
        assert httpx2.post(f"{url}/faults", json={"method": "auth.test", "error": "fatal_error"}).status_code == 200
        with pytest.raises(SlackApiError):
            WebClient(BOT_TOKEN, base_url=f"{url}/api/").auth_test()
        record = httpx2.get(f"{url}/record").json()
        assert [message["user"] for message in record["messages"]] == ["U0ADA", BOT_USER, "U0ADA"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
