"""The application's manifest, and what is found out about credentials by using them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_workspace.emulator import APP_TOKEN, BOT_TOKEN, SUBSCRIBED, Emulator
from slack_workspace.workspace import SCOPES as GRANTED

from app.platforms.slack.connect import CheckFailed, check_app_token, identify, missing_scopes, say_hello
from app.platforms.slack.manifest import EVENTS, SCOPES, manifest
from app.platforms.slack.web_api import WebApi

URL = "https://assistant.example/events/slack"
CALLBACK = "https://assistant.example/oauth/slack/callback"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(subscribed=()) as running:
        yield running


@pytest.fixture
async def api(emulator: Emulator) -> AsyncIterator[WebApi]:
    made = WebApi(emulator.api_url, call_seconds=1.0)
    yield made
    await made.aclose()


def test_the_manifest_for_webhooks_names_the_request_url() -> None:
    made = manifest(url=URL, redirect_uri=CALLBACK)
    assert made["settings"]["event_subscriptions"] == {"request_url": URL, "bot_events": ["app_mention", "message.im"]}
    assert made["settings"]["socket_mode_enabled"] is False
    assert made["settings"]["token_rotation_enabled"] is True
    assert made["oauth_config"]["redirect_urls"] == [CALLBACK]
    assert made["features"]["app_home"]["messages_tab_read_only_enabled"] is False
    json.dumps(made)


def test_the_manifest_for_socket_mode_needs_no_address() -> None:
    made = manifest(url=None, transport="socket-mode")
    assert "request_url" not in made["settings"]["event_subscriptions"]
    assert "redirect_urls" not in made["oauth_config"]
    assert made["settings"]["socket_mode_enabled"] is True
    # A bot token that somebody enters by hand cannot be renewed, so it must not expire.
    assert made["settings"]["token_rotation_enabled"] is False


def test_the_manifest_asks_for_what_is_used_and_no_more() -> None:
    made = manifest(url=URL)
    assert made["oauth_config"]["scopes"] == {"bot": sorted(SCOPES)}
    assert set(GRANTED.split(",")) == set(SCOPES)
    assert EVENTS == SUBSCRIBED


def test_the_page_names_every_scope_and_event() -> None:
    page = (Path(__file__).parents[2] / "docs" / "platforms" / "slack.md").read_text()
    scopes = {word for word in re.findall(r"`([a-z_]+:[a-z]+)`", page) if word != "connections:write"}
    assert scopes == set(SCOPES)
    assert all(f"`{event}`" in page for event in EVENTS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"url": None}, "https://"),
        ({"url": "http://127.0.0.1/events/slack"}, "https://"),
        ({"url": URL, "redirect_uri": "http://x/"}, "https://"),
        ({"url": URL, "name": "x" * 36}, "35"),
    ],
)
def test_what_slack_would_not_take_is_said_before(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        manifest(**arguments)


async def test_a_right_token_says_whose_it_is(api: WebApi) -> None:
    found = await identify(api, BOT_TOKEN)
    assert (found.team, found.team_name, found.bot_user, found.url) == ("T0ACME", "Acme", "U0BOT", "https://acme.slack.com/")
    assert found.scopes == set(SCOPES)


async def test_the_very_scope_that_lacks_is_named(emulator: Emulator, api: WebApi) -> None:
    emulator.workspace.tokens[
        BOT_TOKEN
    ].scopes = "chat:write,im:history,app_mentions:read,channels:history,groups:history,mpim:history"
    with pytest.raises(CheckFailed) as failed:
        await identify(api, BOT_TOKEN)
    assert failed.value.field == "OAuth & Permissions, Bot Token Scopes"
    assert "files:write (attaches" in str(failed.value) and "chat:write" not in str(failed.value)
    assert missing_scopes(SCOPES) == ()


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("xoxb-wrong-canary", "SLACK_BOT_TOKEN: Slack answered invalid_auth to auth.test: the bot token is wrong"),
        (APP_TOKEN, "SLACK_BOT_TOKEN: a bot token begins with xoxb-"),
        ("canary", "SLACK_BOT_TOKEN: a bot token begins with xoxb-"),
    ],
)
async def test_a_wrong_bot_token_is_named_and_not_shown(api: WebApi, token: str, says: str) -> None:
    with pytest.raises(CheckFailed) as failed:
        await identify(api, token)
    assert says in str(failed.value) and "canary" not in str(failed.value)
    assert not failed.value.passing


async def test_the_app_token_opens_a_socket(emulator: Emulator, api: WebApi) -> None:
    await check_app_token(api, APP_TOKEN)
    for token, says in ((BOT_TOKEN, "begins with xapp-"), ("xapp-other", "invalid_auth")):
        with pytest.raises(CheckFailed, match=says) as failed:
            await check_app_token(api, token)
        assert failed.value.field == "SLACK_APP_TOKEN"


@pytest.mark.parametrize(
    ("fault", "passing"),
    [
        ({"kind": "status", "status": 503}, True),
        ({"kind": "status", "status": 429}, True),
        ({"kind": "reset"}, True),
        ({"kind": "slow", "seconds": 1.5}, True),
        ({"kind": "status", "status": 404}, False),
        ({"kind": "redirect"}, False),
    ],
)
async def test_a_wrong_or_unreachable_address_is_no_wrong_token(
    emulator: Emulator, api: WebApi, fault: dict[str, Any], passing: bool
) -> None:
    emulator.fail("auth.test", **fault)
    with pytest.raises(CheckFailed) as failed:
        await identify(api, BOT_TOKEN)
    assert (failed.value.field, failed.value.passing) == ("SLACK_API_URL", passing)


async def test_a_test_message_arrives_in_a_channel_or_with_a_person(emulator: Emulator, api: WebApi) -> None:
    assert await say_hello(api, BOT_TOKEN, "C0GENERAL", "hello") == emulator.answers[0]["ts"]
    await say_hello(api, BOT_TOKEN, "U0ADA", "hello")
    assert emulator.answers[1]["channel"] == "D0ADA"
    with pytest.raises(CheckFailed, match=r"channel: .*not_in_channel.*/invite"):
        await say_hello(api, BOT_TOKEN, "C0ELSEWHERE", "hello")
