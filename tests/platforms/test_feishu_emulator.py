"""The emulated Feishu itself: its schedule, its tokens, its sign-in, and as a person runs it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from feishu.emulator import RENEWABLE_SECONDS, TOKEN_SECONDS, Emulator

from app.auth.installation import InstallationRefused
from app.auth.installation_feishu import FeishuInstallation
from app.http.errors import ApiError
from app.http.outbound import client_for
from app.pipeline.event import Event
from app.platforms.feishu.events import FeishuEvents
from app.platforms.inbound import Challenge, RawRequest, SignatureRefused
from app.platforms.secret_set import SecretSet

FOLDER = Path(__file__).parent / "feishu"
CALLBACK = "https://assistant.example/oauth/feishu/callback"


class Webhook:
    """Takes what is delivered as the gateway does, after the first ``refusals`` answers."""

    def __init__(self, refusals: int = 0, key: str = "encrypt-key", token: str = "verification-token") -> None:  # noqa: S107
        self.taken: list[Event] = []
        self.headers: list[dict[str, str]] = []
        events = FeishuEvents(SecretSet(key), SecretSet(token))
        webhook, left = self, [refusals]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                webhook.headers.append({name.lower(): value for name, value in self.headers.items()})
                raw = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
                left[0] -= 1
                try:
                    received = events.receive(RawRequest(raw, b"", body))
                    status = 503 if left[0] >= 0 else 200
                except SignatureRefused:
                    return self._answer(401, {})
                except ApiError:
                    return self._answer(400, {})
                if isinstance(received, Event) and status == 200:
                    webhook.taken.append(received)
                return self._answer(status, dict(received.body) if isinstance(received, Challenge) else {})

            def _answer(self, status: int, body: dict[str, str]) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """What arrives is looked at by the test."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/events/feishu"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(redirect_uris=(CALLBACK,)) as running:
        yield running


def test_an_event_is_delivered_again_until_it_is_taken_and_signed_anew(emulator: Emulator) -> None:
    webhook = Webhook(refusals=2)
    delivery = emulator.deliver(webhook.url, emulator.event("hi", message_id="om_1")).wait()
    assert (delivery.attempts, delivery.taken) == ([503, 503, 200], True)
    assert [event.id for event in webhook.taken] == ["om_1"]
    assert len({headers["x-lark-request-nonce"] for headers in webhook.headers}) == 3
    webhook.close()


def test_after_the_fourth_repeat_feishu_gives_up(emulator: Emulator) -> None:
    webhook = Webhook(refusals=9)
    assert emulator.deliver(webhook.url, emulator.event("hi"), time_scale=1e-6).wait().attempts == [503] * 5
    webhook.close()


def test_a_webhook_with_another_key_or_token_takes_neither_event_nor_challenge(emulator: Emulator) -> None:
    right, wrong_key, wrong_token = Webhook(), Webhook(key="another"), Webhook(token="another")
    assert emulator.challenge(right.url).wait().answer == {"challenge": "c-123"}
    assert emulator.challenge(wrong_key.url).wait().attempts == [401]
    assert emulator.challenge(wrong_token.url).wait().attempts == [401]
    assert emulator.deliver(wrong_key.url, emulator.event("hi"), attempts=1).wait().attempts == [401]
    for webhook in (right, wrong_key, wrong_token):
        webhook.close()


def token_of(emulator: Emulator, **changes: str) -> dict[str, Any]:
    body = {"app_id": emulator.app_id, "app_secret": emulator.app_secret, **changes}
    answer = httpx2.post(f"{emulator.url}/open-apis/auth/v3/tenant_access_token/internal", json=body)
    assert answer.status_code == 200
    return dict(answer.json())


def test_a_token_stays_the_same_until_less_than_half_an_hour_of_it_remains(emulator: Emulator) -> None:
    first = token_of(emulator)
    assert first["expire"] in (TOKEN_SECONDS - 1, TOKEN_SECONDS)
    emulator.advance(TOKEN_SECONDS - RENEWABLE_SECONDS - 10)
    assert token_of(emulator)["tenant_access_token"] == first["tenant_access_token"]
    emulator.advance(20)
    second = token_of(emulator)
    assert second["tenant_access_token"] != first["tenant_access_token"]
    bot = f"{emulator.url}/open-apis/bot/v3/info"
    assert httpx2.get(bot, headers={"Authorization": f"Bearer {first['tenant_access_token']}"}).json()["code"] == 0
    emulator.advance(RENEWABLE_SECONDS)
    assert httpx2.get(bot, headers={"Authorization": f"Bearer {first['tenant_access_token']}"}).json()["code"] == 99991663


def test_wrong_credentials_are_told_apart(emulator: Emulator) -> None:
    assert token_of(emulator, app_id="cli_other")["code"] == 10003
    assert token_of(emulator, app_secret="wrong")["code"] == 10014


def authorise(emulator: Emulator, **changes: str) -> httpx2.Response:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).rstrip(b"=").decode()
    query = {"client_id": emulator.app_id, "redirect_uri": CALLBACK, "state": "s", "response_type": "code",
             "code_challenge": challenge, "code_challenge_method": "S256", **changes}  # fmt: skip
    return httpx2.get(f"{emulator.url}/open-apis/authen/v1/authorize?{urlencode(query)}", follow_redirects=False)


def exchange(emulator: Emulator, code: str, **changes: str) -> dict[str, Any]:
    body = {"grant_type": "authorization_code", "client_id": emulator.app_id, "client_secret": emulator.app_secret,
            "code": code, "redirect_uri": CALLBACK, "code_verifier": "v" * 43, **changes}  # fmt: skip
    return dict(httpx2.post(f"{emulator.url}/open-apis/authen/v2/oauth/token", json=body).json())


def code_of(emulator: Emulator) -> str:
    back = urlsplit(authorise(emulator).headers["location"])
    values = dict(parse_qsl(back.query))
    assert values["state"] == "s"
    return values["code"]


def test_a_code_is_worth_one_token_and_that_tells_who_signed_in(emulator: Emulator) -> None:
    code = code_of(emulator)
    token = exchange(emulator, code)
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    person = httpx2.get(f"{emulator.url}/open-apis/authen/v1/user_info", headers=headers).json()["data"]
    assert (person["open_id"], person["tenant_key"]) == ("ou_ada", "tenant1")
    assert exchange(emulator, code)["code"] == 20065


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"redirect_uri": "https://elsewhere.example/"}, 20071),
        ({"code_verifier": "w" * 43}, 20049),
        ({"client_secret": "wrong"}, 20002),
        ({"client_id": "cli_other"}, 20048),
        ({"code": "made up"}, 20003),
    ],
)
def test_a_code_is_bound_to_what_it_was_asked_for_with(emulator: Emulator, changes: dict[str, str], code: int) -> None:
    assert exchange(emulator, **{"code": code_of(emulator), **changes})["code"] == code


async def test_the_assistants_installation_goes_through(emulator: Emulator) -> None:
    async with client_for(emulator.url) as client:
        installing = FeishuInstallation(
            client,
            app_id=emulator.app_id,
            app_secret=emulator.app_secret,
            url=emulator.url,
            accounts_url=emulator.url,
        )
        challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).rstrip(b"=").decode()
        back = httpx2.get(installing.authorize_url("s", challenge, CALLBACK), follow_redirects=False).headers["location"]
        code = dict(parse_qsl(urlsplit(back).query))["code"]
        assert (await installing.exchange(code, "v" * 43, CALLBACK)).team == "tenant1"
        with pytest.raises(InstallationRefused) as again:
            await installing.exchange(code, "v" * 43, CALLBACK)
        assert again.value.status == 400


def test_a_code_ages_and_an_unlisted_redirect_gets_none(emulator: Emulator) -> None:
    code = code_of(emulator)
    emulator.advance(301)
    assert exchange(emulator, code)["code"] == 20004
    assert authorise(emulator, redirect_uri="https://elsewhere.example/").json()["code"] == 20029


def test_a_person_can_watch_a_conversation(tmp_path: Path) -> None:
    files = {}
    for name in ("app-secret", "verification-token", "encrypt-key"):
        files[name] = tmp_path / name
        files[name].write_text(f"{name}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    webhook = Webhook()
    options = [word for name, file in files.items() for word in (f"--{name}-file", str(file))]
    command = [sys.executable, str(FOLDER), "--port", str(port), "--webhook", webhook.url, *options]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]}
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == f"feishu    ready at http://127.0.0.1:{port}\n"
    process.stdin.write("今天天气如何？\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ada       → 今天天气如何？\n"
    url = f"http://127.0.0.1:{port}"
    assert "message_id" in httpx2.post(f"{url}/say", json={"text": "again", "group": True}).json()
    assert process.stdout.readline() == "ada       → again\n"
    second = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert second.returncode == 1 and str(port) in second.stderr and "Traceback" not in second.stderr
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert [event.text for event in webhook.taken] == ["今天天气如何？", "again"]
    webhook.close()
