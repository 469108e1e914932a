"""What Slack says to the assistant: verified, parsed, and told apart from what is not meant for it.

Answered are messages to the bot itself (a direct message), and in channels and group conversations those that mention it,
also within a thread: a thread that the bot has answered in belongs to the people who talk there. Everything else is ignored:
other bots and the bot itself, edits (a new question is a new message), joins, topics and the other subtypes.

A mention may arrive twice, as ``app_mention`` and as ``message``, with different event ids; the message's channel and time
stamp are what they share, and so are the event's id.

Sources: https://docs.slack.dev/apis/events-api and https://docs.slack.dev/reference/events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from app.http.body import parse_json, validate
from app.http.errors import ApiError
from app.pipeline.event import Event
from app.platforms.inbound import Challenge, Ignored, RawRequest, Received
from app.platforms.secret_set import SecretSet, parse_set
from app.platforms.slack.mrkdwn import mentions, readable
from app.platforms.slack.signature import claim, parse_secret, verify
from app.settings import SettingsError, SlackSettings

NAME: Final = "slack"
# A file's caption and a reply that is also shown in the channel are what somebody wrote; other subtypes report something.
SPOKEN: Final = (None, "file_share", "thread_broadcast")

Id = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{1,31}$")]
Stamp = Annotated[str, Field(pattern=r"^[0-9]{1,16}\.[0-9]{1,9}$")]  # Unix seconds, and what makes it unique in its channel
_LENIENT = ConfigDict(strict=True, extra="ignore")  # Slack adds fields any day


class Authorization(BaseModel):
    """An installation of the application that may see the event. Slack sends one of them, whoever else there is."""

    model_config = _LENIENT

    team_id: Id | None = None  # null for an installation in a whole organisation
    enterprise_id: Id | None = None
    user_id: Id | None = None  # the bot's user
    is_bot: bool = False
    is_enterprise_install: bool = False


class Envelope(BaseModel):
    """``type: event_callback``, as it comes by webhook and, the same, within a Socket Mode message."""

    model_config = _LENIENT

    team_id: Id
    context_team_id: Id | None = None
    context_enterprise_id: Id | None = None
    event_id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9]+$")]
    event: dict[str, Any]
    authorizations: list[Authorization] | None = None
    is_ext_shared_channel: bool | None = None

    @property
    def installed(self) -> Authorization:
        return self.authorizations[0] if self.authorizations else Authorization()

    @property
    def workspace(self) -> str:
        """The one that the application serves here. In a channel shared with others, ``team_id`` may be theirs."""
        return self.installed.team_id or self.context_team_id or self.team_id

    @property
    def installation(self) -> str:
        """Whose bot token answers: the workspace's, or that of the organisation in which the application is installed."""
        if self.installed.is_enterprise_install:
            return self.installed.enterprise_id or self.context_enterprise_id or self.workspace
        return self.workspace

    @property
    def bots(self) -> frozenset[str]:
        return frozenset(one.user_id for one in self.authorizations or () if one.is_bot and one.user_id)

    @property
    def ours(self) -> frozenset[str]:
        """The teams whose members are at home here. Not ``enterprise_id``, which may be the others', as ``team_id``."""
        known = (self.workspace, self.installed.enterprise_id, self.context_enterprise_id)
        return frozenset(team for team in known if team)


class Message(BaseModel):
    """``event`` of type ``message`` or ``app_mention``, where somebody spoke."""

    model_config = _LENIENT

    type: str
    channel: Id
    channel_type: str | None = None  # "channel", "group", "mpim" or "im"; an app_mention leaves it out, and is never an "im"
    user: Id
    text: str = ""
    ts: Stamp
    thread_ts: Stamp | None = None
    team: Id | None = None
    user_team: Id | None = None

    @property
    def direct(self) -> bool:
        return self.channel_type == "im" or self.channel.startswith("D")


class Handshake(BaseModel):
    model_config = _LENIENT

    challenge: Annotated[str, Field(min_length=1, max_length=1024)]


class SlackEvents:
    """The gateway's half: a :class:`app.platforms.inbound.PlatformEvents`."""

    name = NAME

    def __init__(
        self,
        secrets: SecretSet[bytes],
        now: Callable[[], float] = time.time,
        previous_used: Callable[[], None] = lambda: None,
    ) -> None:
        self._secrets = secrets
        self._now, self._previous_used = now, previous_used

    @classmethod
    def from_settings(cls, settings: SlackSettings, previous_used: Callable[[], None] = lambda: None) -> Self:
        """Raises :class:`app.settings.SettingsError`."""
        if settings.slack_signing_secret is None:
            raise SettingsError("SLACK_SIGNING_SECRET is required to take Slack's events (or SLACK_SIGNING_SECRET_FILE)")
        try:
            secrets = parse_set(settings.slack_signing_secret.get_secret_value(), parse_secret)
        except ValueError as error:
            raise SettingsError(f"SLACK_SIGNING_SECRET: {error}") from None
        return cls(secrets, previous_used=previous_used)

    def admit(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        claim(headers, self._now())

    def receive(self, request: RawRequest) -> Received:
        now = self._now()
        if verify(self._secrets, request.headers, request.body, now):
            self._previous_used()
        value = parse_json(request.body)
        if isinstance(value, dict) and value.get("type") == "url_verification":
            return Challenge({"challenge": validate(Handshake, value).challenge})
        return parse_payload(value, datetime.fromtimestamp(now, UTC))


def parse_payload(envelope: Any, received_at: datetime) -> Event | Ignored:
    """What an ``event_callback`` says. ``envelope``: parsed JSON, from the body of a webhook or the payload of a Socket Mode
    message. Raises :class:`app.http.errors.ApiError` 400, which names the field at fault."""
    if isinstance(envelope, dict) and isinstance(kind := envelope.get("type"), str) and kind != "event_callback":
        return Ignored(f"{NAME}:{_word(envelope.get('team_id'))}:{_word(envelope.get('type'))}")
    parsed = validate(Envelope, envelope)
    ignored = Ignored(f"{NAME}:{parsed.workspace}:{parsed.event_id}")
    if not _spoken(parsed.event):
        return ignored
    message = _message(parsed.event)
    meant = message.direct or message.type == "app_mention" or bool(mentions(message.text) & parsed.bots)
    if not meant or message.user in parsed.bots or _stranger(parsed, message):
        return ignored
    return Event(
        id=f"{message.channel}:{message.ts}",
        platform=NAME,
        tenant=parsed.workspace,
        conversation=_conversation(message),
        sender=message.user,
        text=readable(message.text, parsed.bots),
        received_at=received_at,
        reply_to=MappingProxyType(
            {"channel": message.channel, "thread_ts": _thread(message), "team": parsed.installation, "user": message.user}
        ),
    )


def _spoken(event: dict[str, Any]) -> bool:
    """Whether ``event`` is what a person has just said."""
    if event.get("type") not in ("message", "app_mention"):
        return False
    if event.get("subtype") not in SPOKEN or event.get("bot_id") or event.get("hidden") or event.get("edited"):
        return False
    # Slack's own helper speaks as a user without a bot_id; files without a word hold nothing that the assistant reads.
    wordless = event.get("subtype") == "file_share" and not event.get("text")
    return event.get("user") != "USLACKBOT" and not wordless


def _message(event: dict[str, Any]) -> Message:
    try:
        return validate(Message, event)
    except ApiError as error:
        param = f"event.{error.param}" if error.param else "event"
        raise ApiError(error.status, error.code, f"event.{error}", param=param) from None


def _stranger(envelope: Envelope, message: Message) -> bool:
    """Whether the sender belongs to another company, with whom the channel is shared: the assistant works for its own."""
    return bool(envelope.is_ext_shared_channel) and (message.user_team or message.team) not in envelope.ours


def _thread(message: Message) -> str:
    """The thread in which the answer goes; in a channel it opens one at the question. "" for none."""
    return message.thread_ts or ("" if message.direct else message.ts)


def _conversation(message: Message) -> str:
    thread = _thread(message)
    return f"{message.channel}:{thread}" if thread else message.channel


def _word(value: Any) -> str:
    """``value`` where it can stand in a key; it is shown and logged."""
    return value if isinstance(value, str) and value.isascii() and value.replace("_", "").isalnum() and len(value) <= 64 else ""
