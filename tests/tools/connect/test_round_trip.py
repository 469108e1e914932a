"""Somebody writes to the assistant, and the report of what became of it is right: gateway, queue and worker are real."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from feishu.emulator import Emulator as Feishu
from slack_workspace.emulator import Emulator as Slack

from infra.credentials import Credentials
from tools.connect.dialogue import Dialogue, NotUp, Wishes
from tools.connect.fields import Wrong
from tools.connect.sightings import Sighting, sighting
from tools.connect.trying import lines_of
from tools.demo.processes import Running, assistant
from tools.stack.engine import Engine

SIGNING_SECRET = "ca4a41e5" * 4
BOT_TOKEN = "xoxb-1111111111-canarybot"
APP_SECRET = "canarysecretcanarysecretcanary01"
KEY, TOKEN = "canary-encrypt-key", "canaryverificationtoken"


@pytest.fixture(scope="module")
def workspace() -> Iterator[Slack]:
    with Slack(signing_secret=SIGNING_SECRET, bot_token=BOT_TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def organisation() -> Iterator[Feishu]:
    with Feishu(app_secret=APP_SECRET, encrypt_key=KEY, verification_token=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, workspace: Slack, organisation: Feishu) -> Iterator[Running]:
    def connected(_url: str) -> Mapping[str, str]:
        return {
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_API_URL": workspace.api_url,
            "FEISHU_APP_ID": organisation.app_id,
            "FEISHU_APP_SECRET": APP_SECRET,
            "FEISHU_ENCRYPT_KEY": KEY,
            "FEISHU_VERIFICATION_TOKEN": TOKEN,
            "FEISHU_URL": organisation.url,
        }

    with assistant(tmp_path_factory.mktemp("assistant"), None, connected, lambda line: None) as started:
        workspace.delivery.request_url, workspace.delivery.verify = f"{started.url}/events/slack", started.context()
        yield started


@pytest.fixture
def trial(
    engine: Engine, somebody: Any, public: None, make_dialogue: Callable[..., Dialogue], running: Running
) -> Callable[..., int]:
    """``trial(platform, write, seconds)``: with what is stored; ``write`` is called once it is somebody's turn."""
    credentials = Credentials("trial", engine.checkout)
    for name, value in {
        "slack_signing_secret": SIGNING_SECRET,
        "slack_bot_token": BOT_TOKEN,
        "feishu_app_secret": APP_SECRET,
        "feishu_encrypt_key": KEY,
        "feishu_verification_token": TOKEN,
    }.items():
        credentials.write(name, value)
    engine.configuration.write_text(
        engine.configuration.read_text() + "  assistant:platforms: {feishu: {appId: cli_a1b2c3, transport: webhook}}\n"
    )
    outputs = {
        "url": running.url,
        "apiKey": running.api_key,
        "caCertificate": running.ca,
        "webhookUrls": {name: f"{running.url}/events/{name}" for name in ("slack", "feishu")},
    }
    logs = sorted(map(str, Path(running.logs).glob("*.log")))

    def follow() -> Any:
        return lines_of(["tail", "-n", "0", "-F", *logs], engine.checkout, engine.environment)

    def run(platform: str, write: Callable[[], object], seconds: float = 30.0, to: str = "") -> int:
        somebody.on_turn = write
        wishes = Wishes(only_try=True, seconds=seconds, to=to)
        return make_dialogue(platform, "webhook", outputs=outputs, follow=follow).run(wishes)

    return run


def test_a_question_on_slack_is_followed_to_its_answer(trial: Callable[..., int], workspace: Slack, somebody: Any) -> None:
    somebody.environment["SLACK_API_URL"] = workspace.api_url
    assert trial("slack", lambda: workspace.write("hello?"), to="C0GENERAL") == 0
    assert "answers the challenge" in somebody.screen
    assert "a greeting to C0GENERAL" in somebody.screen
    assert next(line.split()[3] for line in somebody.said if line.strip().startswith("trace")) == "accepted"
    assert somebody.said[-1].endswith("Slack is connected.")
    assert "canary" not in somebody.screen


def test_a_question_on_feishu_is_followed_to_its_answer(
    trial: Callable[..., int], organisation: Feishu, running: Running, somebody: Any
) -> None:
    somebody.environment["FEISHU_URL"] = organisation.url
    event = organisation.event("hello?", chat="oc_ada")
    where = f"{running.url}/events/feishu"
    assert trial("feishu", lambda: organisation.deliver(where, event, context=running.context())) == 0
    assert somebody.said[-1].endswith("Feishu is connected.")
    assert "canary" not in somebody.screen


def test_a_refused_signature_names_the_secret(trial: Callable[..., int], workspace: Slack, somebody: Any) -> None:
    somebody.environment["SLACK_API_URL"] = workspace.api_url
    workspace.delivery.signing_secret = "0" * 32
    try:
        assert trial("slack", lambda: workspace.write("hello?")) == 1
    finally:
        workspace.delivery.signing_secret = SIGNING_SECRET
    assert "401. SLACK_SIGNING_SECRET is another application's" in somebody.screen
    assert '"Basic Information"' in somebody.screen


def test_an_answer_that_slack_refuses_names_the_scope(trial: Callable[..., int], workspace: Slack, somebody: Any) -> None:
    somebody.environment["SLACK_API_URL"] = workspace.api_url
    token = workspace.workspace.tokens[BOT_TOKEN]
    scopes, token.scopes = token.scopes, "im:history"
    try:
        assert trial("slack", lambda: workspace.write("hello?")) == 1
    finally:
        token.scopes = scopes
    assert "not sent   Slack answered missing_scope chat:write" in somebody.screen


def test_nothing_came_says_what_to_look_at(trial: Callable[..., int], somebody: Any) -> None:
    assert trial("slack", lambda: None, seconds=0.5) == 1
    assert "nothing    came within" in somebody.screen
    assert '"Subscribe to bot events": app_mention, message.im' in somebody.screen


def test_a_greeting_that_cannot_be_sent_names_the_channel(trial: Callable[..., int], workspace: Slack, somebody: Any) -> None:
    somebody.environment["SLACK_API_URL"] = workspace.api_url
    with pytest.raises(Wrong, match=r"CHANNEL: .*not_in_channel.*/invite"):
        trial("slack", lambda: None, to="C0ELSEWHERE")


def test_a_gateway_with_other_secrets_has_to_be_brought_up(
    trial: Callable[..., int], engine: Engine, workspace: Slack, somebody: Any
) -> None:
    Credentials("trial", engine.checkout).write("slack_signing_secret", "0" * 32)
    with pytest.raises(NotUp, match=r'answered 401 "invalid_signature".*make up STACK=trial'):
        trial("slack", lambda: None)


def test_a_stack_whose_log_cannot_be_followed_claims_nothing(
    make_dialogue: Callable[..., Dialogue], trial: Callable[..., int], running: Running, engine: Engine, somebody: Any
) -> None:
    outputs = {
        "url": running.url,
        "apiKey": running.api_key,
        "caCertificate": running.ca,
        "webhookUrls": {"slack": f"{running.url}/events/slack"},
    }
    dialogue = make_dialogue(
        "slack", "webhook", outputs=outputs, follow=lambda: lines_of(["true"], engine.checkout, engine.environment)
    )
    assert dialogue.run(Wishes(only_try=True)) == 0
    assert "cannot be followed from here" in somebody.screen
    assert "Slack is connected." not in somebody.screen


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ('{"event": "request", "route": "/events/slack", "status": 200}', Sighting("taken", detail="200")),
        ('[pod/gateway-1] {"event": "request", "route": "/events/slack", "status": 401}', Sighting("refused", detail="401")),
        ('{"event": "event_stored", "key": "slack:T1:C1:1.0"}', Sighting("stored", "slack:T1:C1:1.0")),
        ('{"event": "request", "route": "/events/feishu", "status": 200}', None),
        ('{"event": "attempt ended", "event_key": "feishu:t:om_1", "outcome": "done"}', None),
        (
            '{"event": "attempt ended", "event_key": "slack:T1:C1:1.0", "outcome": "done", "reason": null}',
            Sighting("ended", "slack:T1:C1:1.0", outcome="done"),
        ),
        ("==> gateway.log <==", None),
        ('{"event": ["request"]}', None),
        ("{", None),
    ],
)
def test_a_line_of_the_log_is_read(line: str, seen: Sighting | None) -> None:
    assert sighting(line, "slack") == seen
