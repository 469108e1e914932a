"""What Slack says, as events: which messages are meant for the assistant, and what their text is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.http.errors import ApiError
from app.pipeline.event import Event
from app.platforms.inbound import Ignored, PlatformEvents, RawRequest
from app.platforms.secret_set import SecretSet
from app.platforms.slack.events import SlackEvents, parse_payload
from app.platforms.slack.mrkdwn import mentions, readable
from app.platforms.slack.signature import sign

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
BOT = "U0BOT"
AUTHORIZATION = {"enterprise_id": None, "team_id": "T1", "user_id": BOT, "is_bot": True, "is_enterprise_install": False}


def envelope(event: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "token": "unused",
        "team_id": "T1",
        "context_team_id": "T1",
        "context_enterprise_id": None,
        "api_app_id": "A1",
        "event": event,
        "type": "event_callback",
        "event_id": "Ev1",
        "event_time": 1700000000,
        "authorizations": [AUTHORIZATION],
        "is_ext_shared_channel": False,
        "event_context": "4-abc",
        **more,
    }


def direct(**more: Any) -> dict[str, Any]:
    return {
        "type": "message",
        "channel": "D1",
        "channel_type": "im",
        "user": "U1",
        "text": "hello",
        "ts": "1700000000.000100",
        "event_ts": "1700000000.000100",
        "team": "T1",
        "client_msg_id": "x",
        **more,
    }


def mention(**more: Any) -> dict[str, Any]:
    return {
        "type": "app_mention",
        "channel": "C1",
        "user": "U1",
        "text": f"<@{BOT}> what is the time?",
        "ts": "1700000000.000200",
        "event_ts": "1700000000.000200",
        "team": "T1",
        **more,
    }


def read(event: dict[str, Any], **more: Any) -> Event | Ignored:
    return parse_payload(envelope(event, **more), NOW)


def taken(event: dict[str, Any], **more: Any) -> Event:
    received = read(event, **more)
    assert isinstance(received, Event), received
    return received


def test_it_is_a_platform() -> None:
    events: PlatformEvents = SlackEvents(SecretSet(b"x" * 32))
    assert events.name == "slack"


def test_a_direct_message_is_answered_without_a_thread() -> None:
    assert taken(direct()) == Event(
        id="D1:1700000000.000100",
        platform="slack",
        tenant="T1",
        conversation="D1",
        sender="U1",
        text="hello",
        received_at=NOW,
        reply_to={"channel": "D1", "thread_ts": "", "team": "T1", "user": "U1"},
    )


def test_a_mention_opens_a_thread_at_the_question() -> None:
    event = taken(mention())
    assert (event.text, event.conversation) == ("what is the time?", "C1:1700000000.000200")
    assert event.reply_to == {"channel": "C1", "thread_ts": "1700000000.000200", "team": "T1", "user": "U1"}


def test_a_mention_within_a_thread_stays_there() -> None:
    event = taken(mention(thread_ts="1690000000.000001"))
    assert event.conversation == "C1:1690000000.000001"
    assert event.reply_to["thread_ts"] == "1690000000.000001"


def test_a_thread_within_a_direct_conversation_is_a_conversation_of_its_own() -> None:
    event = taken(direct(thread_ts="1690000000.000001"))
    assert event.conversation == "D1:1690000000.000001"
    assert event.reply_to["thread_ts"] == "1690000000.000001"


def test_one_mention_as_app_mention_and_as_message_is_one_event() -> None:
    first = taken(mention(), event_id="Ev1")
    second = taken({**mention(), "type": "message", "channel_type": "channel"}, event_id="Ev2")
    assert first.key == second.key == "slack:T1:C1:1700000000.000200"


@pytest.mark.parametrize("kind", ["channel", "group", "mpim"])
def test_among_several_people_only_mentions_are_answered(kind: str) -> None:
    said = {**mention(), "type": "message", "channel_type": kind}
    assert isinstance(read(said), Event)
    assert isinstance(read({**said, "text": "not for the bot"}), Ignored)
    assert isinstance(read({**said, "text": "nor <@U2> this"}), Ignored)
    # A thread in which the bot has answered belongs to those who talk there.
    assert isinstance(read({**said, "text": "thanks!", "thread_ts": "1690000000.000001", "parent_user_id": BOT}), Ignored)


@pytest.mark.parametrize(
    "changes",
    [
        {"bot_id": "B1"},
        {"user": BOT},
        {"user": "USLACKBOT"},
        {"subtype": "bot_message", "bot_id": "B2", "user": None},
        {"subtype": "message_changed", "message": {}, "user": None, "hidden": True},
        {"subtype": "message_deleted", "deleted_ts": "1.1", "hidden": True},
        {"subtype": "channel_join"},
        {"subtype": "channel_topic", "topic": "x"},
        {"subtype": "me_message"},
        {"subtype": "a_subtype_of_next_year"},
        {"subtype": ["unhashable"]},
        {"subtype": "file_share", "text": "", "files": [{"id": "F1"}]},
        {"edited": {"user": "U1", "ts": "1700000001.000000"}},
        {"hidden": True},
    ],
)
@pytest.mark.parametrize("event", [direct(), mention()], ids=["direct", "mention"])
def test_what_no_person_has_just_said_is_ignored(event: dict[str, Any], changes: dict[str, Any]) -> None:
    assert read({**event, **changes}) == Ignored("slack:T1:Ev1")


@pytest.mark.parametrize("subtype", ["file_share", "thread_broadcast"])
def test_a_caption_and_a_broadcast_reply_are_what_somebody_said(subtype: str) -> None:
    assert taken(direct(subtype=subtype, files=[{"id": "F1"}])).text == "hello"


@pytest.mark.parametrize("kind", ["reaction_added", "member_joined_channel", "app_home_opened", "tokens_revoked", 7, None])
def test_events_of_other_types_are_ignored(kind: object) -> None:
    assert read({"type": kind, "user": "U1"}) == Ignored("slack:T1:Ev1")


def test_notices_beside_events_are_ignored() -> None:
    notice = {"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1518467820, "api_app_id": "A1"}
    assert parse_payload(notice, NOW) == Ignored("slack:T1:app_rate_limited")
    assert parse_payload({"type": "\x1b[31m", "team_id": 1}, NOW) == Ignored("slack::")


def test_an_organisations_installation_serves_each_workspace_and_answers_with_its_own_token() -> None:
    organisation = {**AUTHORIZATION, "enterprise_id": "E1", "team_id": None, "is_enterprise_install": True}
    event = taken(mention(), team_id="T2", context_team_id="T2", enterprise_id="E1", authorizations=[organisation])
    assert event.tenant == "T2"
    assert event.reply_to["team"] == "E1"


def test_in_a_shared_channel_the_workspace_is_the_one_that_installed_the_application() -> None:
    event = taken(mention(team="T1", user_team="T1"), team_id="T9", context_team_id="T1", is_ext_shared_channel=True)
    assert (event.tenant, event.reply_to["team"]) == ("T1", "T1")


@pytest.mark.parametrize(
    "home", [{"user_team": "T9", "team": "T1"}, {"team": "T9"}, {"user_team": "E9", "team": "T9"}, {"team": None}]
)
def test_people_of_another_company_in_a_shared_channel_are_not_served(home: dict[str, str]) -> None:
    # What the others' organisation is called stands in the envelope, beside their workspace.
    assert isinstance(read(mention(**home), is_ext_shared_channel=True, team_id="T9", enterprise_id="E9"), Ignored)


def test_people_of_the_same_organisation_in_a_shared_channel_are_served() -> None:
    event = read(mention(user_team="E1", team="T7"), is_ext_shared_channel=True, context_enterprise_id="E1")
    assert isinstance(event, Event)


@pytest.mark.parametrize(
    ("payload", "param"),
    [
        (envelope(direct(), team_id=7), "team_id"),
        (envelope(direct(), team_id="T1:x"), "team_id"),
        ({key: value for key, value in envelope(direct()).items() if key != "event_id"}, "event_id"),
        (envelope([]), "event"),  # type: ignore[arg-type]
        (envelope(direct(), authorizations=[{"user_id": 5}]), "authorizations.0.user_id"),
        (envelope(direct(channel=None)), "event.channel"),
        (envelope(direct(channel="C1\n")), "event.channel"),
        (envelope(direct(user=None)), "event.user"),
        (envelope(direct(text=5)), "event.text"),
        (envelope(direct(ts=1700000000.1)), "event.ts"),
        (envelope(direct(ts="now")), "event.ts"),
        (envelope(direct(thread_ts="x")), "event.thread_ts"),
        ([], None),
        ("text", None),
        (None, None),
    ],
)
def test_genuine_and_malformed_input_is_refused_by_the_field_at_fault(payload: object, param: str | None) -> None:
    with pytest.raises(ApiError) as error:
        parse_payload(payload, NOW)
    assert (error.value.status, error.value.param) == (400, param)
    if param:
        assert error.value.message.startswith(param)


def test_a_signed_request_is_read_from_its_raw_bytes() -> None:
    body = json.dumps(envelope(direct(text="巴黎 🗼"))).encode()
    given = [(b"x-slack-request-timestamp", b"1700000000"), (b"x-slack-signature", sign(b"s" * 32, 1700000000, body).encode())]
    event = SlackEvents(SecretSet(b"s" * 32), now=lambda: 1700000000.5).receive(RawRequest(given, b"", body))
    assert isinstance(event, Event)
    assert event.text == "巴黎 🗼"
    assert event.received_at == datetime.fromtimestamp(1700000000.5, UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"<@{BOT}> hi", "hi"),
        (f"<@{BOT}>: hi", "hi"),
        (f"<@{BOT}>, hi", "hi"),
        (f"hi <@{BOT}>", "hi"),
        (f"hi <@{BOT}> there", "hi there"),
        (f"ask <@{BOT}>, please", "ask, please"),
        (f"<@{BOT}|assistant> hi", "hi"),
        (f"<@{BOT}><@{BOT}> hi", "hi"),
        (f"one\n<@{BOT}> two", "one\n two"),
        (f"<@{BOT}>", ""),
        (f"<@{BOT}>你好", "你好"),
        (f"创建周会 <@{BOT}> 在2026-12-01", "创建周会 在2026-12-01"),
        (f"<@{BOT}X> stays", "@U0BOTX stays"),
        ("with <@U2> and <@U3|ben>", "with @U2 and @ben"),
        ("in <#C2|general> or <#C3> or <#C4|>", "in #general or #C3 or #C4"),
        ("<!here> <!channel> <!everyone> <!here|here>", "@here @channel @everyone @here"),
        ("<!subteam^S1|@team> <!subteam^S2>", "@team @S2"),
        ("on <!date^1392734382^{date_short}|18 Feb 2014>", "on 18 Feb 2014"),
        ("see <https://example.com/a?b=1&amp;c=2>", "see https://example.com/a?b=1&c=2"),
        ("see <https://example.com/|the page>", "see the page (https://example.com/)"),
        ("see <http://example.com|example.com>", "see example.com"),
        (
            "<mailto:ada@example.com|ada@example.com> <tel:+4912|+4912> <mailto:b@example.com>",
            "ada@example.com +4912 b@example.com",
        ),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("typed &amp;lt;@U1&amp;gt; stays", "typed &lt;@U1&gt; stays"),
        (f"typed &lt;@{BOT}&gt; is no mention", f"typed <@{BOT}> is no mention"),
        ("&quot; is not Slack's", "&quot; is not Slack's"),
        ("a < b <", "a < b <"),
        ("<>", ""),
    ],
)
def test_text_is_what_somebody_reads(text: str, expected: str) -> None:
    assert readable(text, {BOT}) == expected


def test_only_slacks_own_mentions_count() -> None:
    assert mentions("<@U1> <@U2|b> &lt;@U3&gt; @U4 <#U5>") == {"U1", "U2"}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", ["<", "<@", " ", f"a <@{BOT}>", "<@U1", "<!", "|", "&amp;", f"{' ' * 50}<@{BOT}>"])
def test_long_and_hostile_text_takes_no_longer_than_its_length(unit: str) -> None:
    readable(unit * (250_000 // len(unit)), {BOT})
