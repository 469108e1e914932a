"""What is to be entered in the console, and whether it was: against the emulated Feishu."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from feishu.emulator import BOT_OPEN_ID, SCOPES, Emulator

from app.http.outbound import client_for
from app.platforms.feishu.connect import CheckFailed, check_webhook, identify, say_hello
from app.platforms.feishu.console import console_settings, missing_scopes, scopes_json
from app.settings import FeishuSettings

SECRET = "app-secret-canary"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(app_secret=SECRET) as running:
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_for(emulator.url) as made:
        yield made


def settings(emulator: Emulator, **changes: Any) -> FeishuSettings:
    values = {"feishu_app_id": emulator.app_id, "feishu_app_secret": SECRET, "feishu_url": emulator.url, **changes}
    return FeishuSettings.model_validate({name: value for name, value in values.items() if value is not None})


async def test_right_credentials_tell_whose_they_are(emulator: Emulator, client: httpx2.AsyncClient) -> None:
    identity = await identify(settings(emulator), client)
    assert (identity.name, identity.open_id, identity.scopes) == ("Assistant", BOT_OPEN_ID, frozenset(SCOPES))
    number = await say_hello(emulator.url, client, identity.token, "ou_ada", "hello")
    assert (number, emulator.messages.sent[0]["text"]) == ("om_sent_1", "hello")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"feishu_app_id": None}, "FEISHU_APP_ID"),
        ({"feishu_app_secret": None}, "FEISHU_APP_SECRET"),
        ({"feishu_app_id": "cli_other"}, "FEISHU_APP_ID"),
        ({"feishu_app_secret": "wrong-canary"}, "FEISHU_APP_SECRET"),
        ({"feishu_bot_open_id": "ou_other"}, "FEISHU_BOT_OPEN_ID"),
        ({"feishu_url": "http://127.0.0.1:9"}, "FEISHU_URL"),
    ],
)
async def test_the_very_setting_that_is_wrong_is_named(
    emulator: Emulator, client: httpx2.AsyncClient, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(CheckFailed) as failed:
        await identify(settings(emulator, **changes), client)
    assert failed.value.field == field
    assert failed.value.passing == (field == "FEISHU_URL")
    assert "canary" not in str(failed.value)


async def test_missing_permissions_are_named_with_their_reasons(emulator: Emulator, client: httpx2.AsyncClient) -> None:
    emulator.scopes.remove("calendar:calendar")
    with pytest.raises(CheckFailed, match=r"calendar:calendar \(creates calendar entries") as failed:
        await identify(settings(emulator), client)
    assert failed.value.field == "Permissions & Scopes"


async def test_an_application_that_is_busy_or_has_no_bot_is_told_apart(emulator: Emulator, client: httpx2.AsyncClient) -> None:
    emulator.fail("/bot/v3/info", 99991400, status=429)
    with pytest.raises(CheckFailed) as busy:
        await identify(settings(emulator), client)
    assert busy.value.passing
    emulator.fail("/bot/v3/info", 230006)
    with pytest.raises(CheckFailed, match="enable it in the console") as without:
        await identify(settings(emulator), client)
    assert (without.value.field, without.value.passing) == ("Add Features, Bot", False)


async def test_a_receiver_who_cannot_be_written_to_is_named(emulator: Emulator, client: httpx2.AsyncClient) -> None:
    identity = await identify(settings(emulator), client)
    emulator.messages.left.add("oc_1")
    with pytest.raises(CheckFailed, match="not in the group") as failed:
        await say_hello(emulator.url, client, identity.token, "oc_1", "hello")
    assert failed.value.field == "the receiver"


def test_wider_and_finer_permissions_do_as_well() -> None:
    assert missing_scopes(SCOPES) == ()
    assert missing_scopes({"im:message", "im:message.group_msg", "im:resource:upload", "calendar:calendar"}) == ()
    finer = {"calendar:calendar:read", *(f"calendar:calendar.event:{what}" for what in ("create", "update", "delete"))}
    assert missing_scopes({*SCOPES, *finer} - {"calendar:calendar"}) == ()
    some = {*SCOPES, "calendar:calendar.event:create"} - {"calendar:calendar"}
    assert [scope.name for scope in missing_scopes(some)] == ["calendar:calendar"]


def test_a_webhook_wants_a_token_and_a_key() -> None:
    with pytest.raises(CheckFailed, match="FEISHU_VERIFICATION_TOKEN"):
        check_webhook(FeishuSettings())
    weak = check_webhook(FeishuSettings.model_validate({"feishu_verification_token": "t"}))
    assert weak is not None and "FEISHU_ENCRYPT_KEY" in weak
    assert check_webhook(FeishuSettings.model_validate({"feishu_verification_token": "t", "feishu_encrypt_key": "k"})) is None


def test_the_console_is_told_everything_in_order() -> None:
    entries = console_settings("https://a.example/events/feishu", "https://a.example/oauth/feishu/callback")
    values = [entry.value for entry in entries if entry.value]
    assert values == [
        scopes_json(),
        "https://a.example/events/feishu",
        "im.message.receive_v1",
        "https://a.example/oauth/feishu/callback",
    ]
    assert "publish" in str(entries[-1])
    assert json.loads(scopes_json())["scopes"]["tenant"] == [
        "im:message.p2p_msg:readonly",
        "im:message.group_at_msg:readonly",
        "im:message:send_as_bot",
        "im:resource",
        "calendar:calendar",
    ]


def test_the_long_connection_needs_no_address() -> None:
    text = "\n".join(str(entry) for entry in console_settings(None, transport="long-connection"))
    assert "persistent connection" in text and "Encrypt Key" not in text
    with pytest.raises(ValueError, match="https://"):
        console_settings("http://a.example")
