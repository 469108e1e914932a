"""What the assistant says in Slack, against the emulated workspace, on real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from typing import Any

import httpx2
import pytest
from slack_workspace.emulator import BOT_TOKEN, Emulator

from app.auth.access_tokens import AccessTokenRefused, AccessTokenUnavailable
from app.auth.static_tokens import StaticTokens
from app.http.outbound import client_for
from app.pipeline.event import Event
from app.pipeline.measure import utf16_units
from app.pipeline.responses import Attachment, Response
from app.platforms.platform import (
    CalendarEntry,
    GivenUp,
    OutcomeUnknown,
    Pace,
    Platform,
    Retryable,
    TaskFailed,
)
from app.platforms.slack.client import MAX_TEXT_UNITS, SlackPlatform
from app.platforms.slack.web_api import WebApi, is_own
from app.settings import SlackSettings

KEY = "k" * 37


class Tokens:
    """Gives its tokens one after another, and remembers which were rejected."""

    def __init__(self, *tokens: str | Exception) -> None:
        self.left = list(tokens)
        self.asked: list[str] = []
        self.rejections: list[tuple[str, str]] = []

    async def token(self, team: str) -> str:
        self.asked.append(team)
        token = self.left[0]
        if isinstance(token, Exception):
            raise token
        return token

    async def rejected(self, team: str, token: str) -> None:
        self.rejections.append((team, token))
        self.left.pop(0)

    async def aclose(self) -> None: ...


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    # Nothing is delivered here: what is written is only there to be answered.
    with Emulator(subscribed=()) as running:
        yield running


@pytest.fixture
async def platform(emulator: Emulator) -> AsyncIterator[SlackPlatform]:
    made = SlackPlatform.from_settings(settings(emulator), StaticTokens("slack", "SLACK_BOT_TOKEN", BOT_TOKEN))
    yield made
    await made.aclose()


def settings(emulator: Emulator) -> SlackSettings:
    return SlackSettings.model_validate({"slack_api_url": emulator.api_url})


def quick(emulator: Emulator, tokens: Tokens | None = None, seconds: float = 0.4) -> SlackPlatform:
    return SlackPlatform(WebApi(emulator.api_url, client_for(emulator.url), seconds), tokens or Tokens(BOT_TOKEN))


def asked(emulator: Emulator, text: str = "@assistant hello", channel: str = "C0GENERAL", thread: str = "") -> Event:
    """Somebody writes, and the event that it becomes."""
    stamp = emulator.write(text, channel=channel, thread_ts=thread or None)
    place = thread or ("" if channel.startswith("D") else stamp)
    return Event(
        id=f"{channel}:{stamp}",
        platform="slack",
        tenant="T0ACME",
        conversation=f"{channel}:{place}" if place else channel,
        sender="U0ADA",
        text=text,
        received_at=datetime.now(UTC),
        reply_to={"channel": channel, "thread_ts": place, "team": "T0ACME", "user": "U0ADA"},
    )


def only(parts: tuple[str, ...]) -> str:
    (part,) = parts
    return part


async def test_it_is_a_platform(platform: SlackPlatform) -> None:
    as_platform: Platform = platform
    assert (as_platform.name, as_platform.idempotent) == ("slack", False)


async def test_an_answer_in_a_channel_stands_in_the_thread_of_its_question(emulator: Emulator, platform: SlackPlatform) -> None:
    event = asked(emulator)
    sent = await platform.send(event, only(platform.render(Response("**巴黎** 🗼\n\n- one\n- two"))), KEY)
    (answer,) = emulator.answers
    assert sent == f"C0GENERAL:{answer['ts']}"
    assert answer["thread_ts"] == event.reply_to["thread_ts"]
    assert answer["text"] == "**巴黎** 🗼\n\n- one\n- two"
    (call,) = emulator.calls
    assert call["method"] == "chat.postMessage"
    assert call["arguments"]["unfurl_links"] is False and call["arguments"]["unfurl_media"] is False
    assert "text" not in call["arguments"]  # beside markdown_text it is refused


async def test_a_direct_message_is_answered_beside_it_and_in_its_thread(emulator: Emulator, platform: SlackPlatform) -> None:
    event = asked(emulator, channel="D0ADA")
    part = only(platform.render(Response("hello")))
    await platform.send(event, part, KEY)
    assert "thread_ts" not in emulator.answers[0]
    thread = event.id.split(":")[1]
    await platform.send(asked(emulator, channel="D0ADA", thread=thread), part, "j" * 37)
    assert emulator.answers[1]["thread_ts"] == thread


async def test_an_answer_is_replaced_in_place(emulator: Emulator, platform: SlackPlatform) -> None:
    event = asked(emulator)
    sent = await platform.send(event, only(platform.render(Response("thinking"))), KEY)
    await platform.update(event, sent, only(platform.render(Response("done"))), KEY)
    assert [message["text"] for message in emulator.answers] == ["done"]
    with pytest.raises(GivenUp):
        await platform.update(event, "", only(platform.render(Response("lost"))), KEY)


async def test_updating_may_be_repeated_where_the_outcome_is_not_known(emulator: Emulator, platform: SlackPlatform) -> None:
    event = asked(emulator)
    sent = await platform.send(event, only(platform.render(Response("thinking"))), KEY)
    emulator.fail("chat.update", error="internal_error", after_effect=True)
    with pytest.raises(Retryable):
        await platform.update(event, sent, only(platform.render(Response("done"))), KEY)
    await platform.update(event, sent, only(platform.render(Response("done"))), KEY)
    assert [message["text"] for message in emulator.answers] == ["done"]


async def test_a_long_answer_is_split_whole(emulator: Emulator, platform: SlackPlatform) -> None:
    lines = [f"print({number})  # 🗼" for number in range(2_000)]
    parts = platform.render(Response("Before.\n\n```python\n" + "\n".join(lines) + "\n```\n\nAfter."))
    assert len(parts) > 2
    event = asked(emulator)
    for number, part in enumerate(parts):
        assert utf16_units(json.loads(part)["markdown_text"]) <= MAX_TEXT_UNITS
        await platform.send(event, part, f"{number:037}")
    said = [line for message in emulator.answers for line in message["text"].splitlines()]
    assert [line for line in said if line.startswith("print(")] == lines
    assert said[0] == "Before." and said[-1] == "After."
    assert all(message["text"].count("```") % 2 == 0 for message in emulator.answers)


@pytest.mark.parametrize("call", ["<!channel>", "<!here>", "<!everyone>", "<!subteam^S1>", "<@U0BEN>", "<#C0GENERAL>"])
def test_the_model_calls_nobody(call: str) -> None:
    for text in (f"hello {call}", f"`{call}`", f"```\n{call}\n```"):
        part = only(SlackPlatform(WebApi("https://slack.com/api/"), Tokens()).render(Response(text)))
        assert call not in json.loads(part)["markdown_text"]


def test_html_and_comparisons_stay_as_they_are() -> None:
    part = only(
        SlackPlatform(WebApi("https://slack.com/api/"), Tokens()).render(Response("```html\n<!DOCTYPE html>\n<a>\n```"))
    )
    assert json.loads(part)["markdown_text"] == "```html\n<!DOCTYPE html>\n<a>\n```"


def test_messages_of_one_channel_go_a_second_apart(emulator: Emulator) -> None:
    platform = SlackPlatform(WebApi("https://slack.com/api/"), Tokens())
    assert platform.pace(asked(emulator)) == Pace(key="slack:T0ACME:C0GENERAL", seconds=1.0)


async def test_slack_has_no_calendar_and_says_so(emulator: Emulator, platform: SlackPlatform) -> None:
    with pytest.raises(TaskFailed) as failed:
        await platform.create_calendar_event(asked(emulator), CalendarEntry(summary="周会", start=date(2026, 12, 1)), KEY)
    assert failed.value.reason == "unsupported"


async def test_a_file_goes_into_the_thread(emulator: Emulator, platform: SlackPlatform) -> None:
    event = asked(emulator)
    text, file = platform.render(
        Response("See the file.", (Attachment("周会.ics", "text/calendar", "BEGIN:VCALENDAR 会\r\n"),))
    )
    await platform.send(event, text, KEY)
    number = await platform.send(event, file, "f" * 37)
    message = emulator.answers[1]
    assert message["files"] == [{"id": number, "name": "周会.ics", "title": "周会.ics"}]
    assert message["thread_ts"] == event.reply_to["thread_ts"]
    assert emulator.workspace.files[number].content == "BEGIN:VCALENDAR 会\r\n".encode()
    assert platform.findable(text) and not platform.findable(file)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:9/upload",
        "http://169.254.169.254/latest/meta-data",
        "http://evil.example/upload",
        "file:///etc/passwd",
        "https://127.0.0.1/upload",
        "http://[",
        "",
    ],
)
async def test_a_file_goes_to_no_address_that_is_not_slacks(emulator: Emulator, platform: SlackPlatform, location: str) -> None:
    emulator.fail("files.getUploadURLExternal", "place", location=location)
    (file,) = platform.render(Response("", (Attachment("a.ics", "text/calendar", "x"),)))
    with pytest.raises(GivenUp, match="no address"):
        await platform.send(asked(emulator), file, KEY)
    assert emulator.answers == []


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("https://files.slack.com/upload/v1/abc", True),
        ("https://slack.com/upload", True),
        ("https://slack.com.evil.example/", False),
        ("https://evilslack.com/", False),
        ("http://files.slack.com/", False),
        ("https://files.slack.com:8443/", False),
        ("https://files.slack.com@evil.example/", False),
        ("https://user:pw@files.slack.com/", False),
        ("https://127.0.0.1/", False),
        ("https://[::1]/", False),
        ("", False),
    ],
)
def test_only_addresses_below_the_apis_host_are_slacks(address: str, own: bool) -> None:
    assert is_own(httpx2.URL(address), httpx2.URL("https://slack.com/api/")) is own


@pytest.mark.parametrize("step", ["files.getUploadURLExternal", "upload"])
@pytest.mark.parametrize("fault", [{"kind": "status", "status": 500}, {"kind": "reset"}])
async def test_nothing_of_a_file_is_seen_before_the_last_step_so_the_others_are_repeated(
    emulator: Emulator, platform: SlackPlatform, step: str, fault: dict[str, Any]
) -> None:
    emulator.fail(step, **fault)
    event = asked(emulator)
    (file,) = platform.render(Response("", (Attachment("a.ics", "text/calendar", "x"),)))
    with pytest.raises(Retryable):
        await platform.send(event, file, KEY)
    await platform.send(event, file, KEY)
    assert len(emulator.answers) == 1


async def test_the_last_step_of_a_file_may_have_been_done(emulator: Emulator, platform: SlackPlatform) -> None:
    emulator.fail("files.completeUploadExternal", "reset", after_effect=True)
    (file,) = platform.render(Response("", (Attachment("a.ics", "text/calendar", "x"),)))
    with pytest.raises(OutcomeUnknown):
        await platform.send(asked(emulator), file, KEY)
    assert len(emulator.answers) == 1


@pytest.mark.parametrize(
    ("fault", "retry_after"),
    [
        ({"kind": "status", "status": 429, "retry_after": "17"}, 17.0),
        ({"kind": "status", "status": 429}, None),
        ({"error": "ratelimited"}, None),
        ({"error": "rate_limited"}, None),
        ({"error": "service_unavailable"}, None),
        ({"error": "team_added_to_org"}, None),
    ],
)
async def test_what_is_busy_is_waited_for_and_not_held_against_the_event(
    emulator: Emulator, platform: SlackPlatform, fault: dict[str, Any], retry_after: float | None
) -> None:
    emulator.fail("chat.postMessage", **fault)
    with pytest.raises(Retryable) as busy:
        await platform.send(asked(emulator), only(platform.render(Response("x"))), KEY)
    assert (busy.value.retry_after, busy.value.counted) == (retry_after, False)
    assert emulator.answers == []


async def test_a_channel_takes_a_message_a_second(emulator: Emulator, platform: SlackPlatform) -> None:
    emulator.workspace.channels["C0GENERAL"].seconds_apart = 30.0
    event, part = asked(emulator), only(platform.render(Response("x")))
    await platform.send(event, part, KEY)
    with pytest.raises(Retryable) as busy:
        await platform.send(event, part, "j" * 37)
    assert (busy.value.retry_after, busy.value.counted) == (30.0, False)


async def test_a_call_that_did_not_arrive_whole_is_repeated_and_counted(emulator: Emulator, platform: SlackPlatform) -> None:
    emulator.fail("chat.postMessage", error="request_timeout")
    with pytest.raises(Retryable) as lost:
        await platform.send(asked(emulator), only(platform.render(Response("x"))), KEY)
    assert lost.value.counted


@pytest.mark.parametrize(
    "fault",
    [
        {"error": "internal_error"},
        {"error": "fatal_error"},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 502},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 504},
        {"kind": "status", "status": 408},
        {"kind": "garbage"},
        {"kind": "garbage", "body": "[]"},
        {"kind": "garbage", "body": '{"ok": "yes"}'},
        {"kind": "reset"},
        {"kind": "slow", "seconds": 0.8},
    ],
)
@pytest.mark.parametrize("after_effect", [True, False])
async def test_what_may_have_been_sent_is_of_unknown_outcome_and_slack_can_be_asked(
    emulator: Emulator, fault: dict[str, Any], after_effect: bool
) -> None:
    platform = quick(emulator)
    emulator.fail("chat.postMessage", after_effect=after_effect, **fault)
    event = asked(emulator)
    with pytest.raises(OutcomeUnknown):
        await platform.send(event, only(platform.render(Response("x"))), KEY)
    emulator.wait_for(lambda it: len(it.answers) == 1, 2 if fault.get("kind") == "slow" else 0)
    assert await platform.find(event, KEY) is bool(emulator.answers)
    assert await platform.find(event, "j" * 37) is False
    await platform.aclose()


async def test_a_call_that_never_left_is_repeated_and_not_counted() -> None:
    platform = SlackPlatform(WebApi("http://127.0.0.1:9/api/"), Tokens("xoxb-x"))
    event = Event(
        id="C1:1.1",
        platform="slack",
        tenant="T1",
        conversation="C1",
        sender="U1",
        text="x",
        received_at=datetime.now(UTC),
        reply_to={"channel": "C1", "thread_ts": "1.1", "team": "T1", "user": "U1"},
    )
    with pytest.raises(Retryable) as refused:
        await platform.send(event, only(platform.render(Response("x"))), KEY)
    assert not refused.value.counted
    await platform.aclose()


@pytest.mark.parametrize("channel", ["C0GENERAL", "D0ADA"])
async def test_an_answer_is_found_among_many_others(emulator: Emulator, platform: SlackPlatform, channel: str) -> None:
    event = asked(emulator, channel=channel)
    thread = event.reply_to["thread_ts"]
    await platform.send(event, only(platform.render(Response("x"))), KEY)
    for number in range(10):
        asked(emulator, f"more {number}", channel=channel, thread=thread)
    assert await platform.find(event, KEY) is True
    assert await platform.find(event, "j" * 37) is False


async def test_what_another_application_passes_for_our_answer_is_not_taken_for_it(
    emulator: Emulator, platform: SlackPlatform
) -> None:
    event = asked(emulator)
    await platform.send(event, only(platform.render(Response("x"))), KEY)
    ours = next(message for message in emulator.workspace.messages if message.get("metadata"))
    ours["bot_id"] = "B0OTHER"
    assert await platform.find(event, KEY) is False


async def test_a_thread_that_went_on_too_long_is_for_a_person_to_read(emulator: Emulator, platform: SlackPlatform) -> None:
    event = asked(emulator)
    for number in range(130):
        asked(emulator, f"more {number}", thread=event.reply_to["thread_ts"])
    with pytest.raises(OutcomeUnknown, match="look for the answer yourself"):
        await platform.find(event, KEY)


async def test_without_the_history_scope_asking_names_it(emulator: Emulator, platform: SlackPlatform) -> None:
    emulator.workspace.tokens[BOT_TOKEN].scopes = "chat:write"
    with pytest.raises(GivenUp, match="missing_scope channels:history"):
        await platform.find(asked(emulator), KEY)


@pytest.mark.parametrize(
    ("channel", "says"),
    [
        ("C0ELSEWHERE", "not_in_channel.*/invite"),
        ("C0OLD", "is_archived.*nobody can post"),
        ("C0NOWHERE", "channel_not_found.*/invite"),
    ],
)
async def test_what_is_refused_for_good_says_what_to_do(
    emulator: Emulator, platform: SlackPlatform, channel: str, says: str
) -> None:
    event = asked(emulator)
    there = Event(
        id=event.id,
        platform="slack",
        tenant="T0ACME",
        conversation=channel,
        sender="U0ADA",
        text="",
        received_at=event.received_at,
        reply_to={**event.reply_to, "channel": channel, "thread_ts": ""},
    )
    with pytest.raises(GivenUp, match=says):
        await platform.send(there, only(platform.render(Response("x"))), KEY)


@pytest.mark.parametrize(
    "error", ["msg_too_long", "restricted_action", "no_permission", "messages_tab_disabled", "a_word_of_next_year", "<script>"]
)
async def test_other_refusals_are_final(emulator: Emulator, platform: SlackPlatform, error: str) -> None:
    emulator.fail("chat.postMessage", error=error)
    with pytest.raises(GivenUp) as given_up:
        await platform.send(asked(emulator), only(platform.render(Response("x"))), KEY)
    assert (error in str(given_up.value)) is (error != "<script>")


@pytest.mark.parametrize(("status", "says"), [(404, "SLACK_API_URL"), (403, "403")])
async def test_a_wrong_address_is_named(emulator: Emulator, platform: SlackPlatform, status: int, says: str) -> None:
    emulator.fail("chat.postMessage", "status", status=status)
    with pytest.raises(GivenUp, match=says):
        await platform.send(asked(emulator), only(platform.render(Response("x"))), KEY)


async def test_a_redirect_is_not_followed(emulator: Emulator, platform: SlackPlatform) -> None:
    emulator.fail("chat.postMessage", "redirect")
    with pytest.raises(GivenUp, match="redirects are not followed"):
        await platform.send(asked(emulator), only(platform.render(Response("x"))), KEY)


@pytest.mark.parametrize("error", ["invalid_auth", "token_expired", "token_revoked", "account_inactive"])
async def test_a_token_that_is_not_accepted_is_replaced_and_the_call_repeated_once(emulator: Emulator, error: str) -> None:
    tokens = Tokens("xoxb-old", BOT_TOKEN)
    platform = quick(emulator, tokens)
    emulator.fail("chat.postMessage", error=error)
    await platform.send(asked(emulator), only(platform.render(Response("x"))), KEY)
    assert len(emulator.answers) == 1
    assert tokens.rejections == [("T0ACME", "xoxb-old")]
    await platform.aclose()


async def test_a_token_that_is_never_accepted_is_replaced_once_and_the_event_kept(emulator: Emulator) -> None:
    tokens = Tokens("xoxb-1", "xoxb-2", "xoxb-3")
    platform = quick(emulator, tokens)
    with pytest.raises(Retryable, match=r"invalid_auth.*check SLACK_BOT_TOKEN") as kept:
        await platform.send(asked(emulator), only(platform.render(Response("x"))), KEY)
    assert kept.value.counted
    assert len(tokens.rejections) == 1
    assert "xoxb-" not in str(kept.value)
    await platform.aclose()


async def test_where_no_token_is_to_be_had_nothing_is_sent(emulator: Emulator) -> None:
    event = asked(emulator)
    for error, counted in ((AccessTokenUnavailable("away", 7.0), False), (AccessTokenRefused("not installed"), True)):
        platform = quick(emulator, Tokens(error))
        with pytest.raises(Retryable) as none:
            await platform.send(event, only(platform.render(Response("x"))), KEY)
        assert none.value.counted is counted
        await platform.aclose()
    assert emulator.calls == []


async def test_the_token_of_the_installation_is_asked_for(emulator: Emulator) -> None:
    event = asked(emulator)
    tokens = Tokens(BOT_TOKEN)
    platform = quick(emulator, tokens)
    await platform.send(event, only(platform.render(Response("x"))), KEY)
    assert tokens.asked == ["T0ACME"]
    await platform.aclose()
