"""What the assistant says in Slack: answers in the thread of the question, files beside them.

``chat.postMessage`` takes no idempotency key, so a call whose answer is lost is of unknown outcome and is not repeated. But
every message carries its key as metadata, which is not shown; :meth:`SlackPlatform.find` asks Slack whether one has arrived.

A part is JSON: ``{"markdown_text": …}`` or ``{"file": {"name", "content"}}``. ``markdown_text`` is the field for standard
Markdown; Slack's own ``mrkdwn`` knows neither tables nor headings. Source: https://docs.slack.dev/reference/methods.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Self

from app.auth.access_tokens import AccessTokenRefused, AccessTokens, AccessTokenUnavailable
from app.http.outbound import CallFailed
from app.pipeline.document import Document, parse
from app.pipeline.event import Event
from app.pipeline.measure import utf16_units
from app.pipeline.rendering import to_markdown
from app.pipeline.responses import Attachment, Response
from app.pipeline.splitting import split
from app.platforms.platform import CalendarEntry, CalendarEvent, GivenUp, OutcomeUnknown, Pace, Retryable, TaskFailed
from app.platforms.slack.errors import Judgement, Verdict, judge
from app.platforms.slack.events import NAME
from app.platforms.slack.web_api import Reply, WebApi
from app.settings import SlackSettings

# "Limit this field to 12,000 characters", which the documentation does not define: of two readings the stricter.
MAX_TEXT_UNITS: Final = 12_000
CHANNEL_SECONDS: Final = 1.0  # https://docs.slack.dev/apis/web-api/rate-limits: one message a second and channel
EVENT_TYPE: Final = "assistant_answer"  # of the metadata
# Read a few at a time: an answer is cut off at 256 KiB, and a long message comes as text and as blocks.
PAGE_MESSAGES: Final = 3
MAX_PAGES: Final = 40
# What would call people: <!channel>, <!subteam^S1>, <@U1>. The model has no business with that, whatever somebody made it say.
_CALL = re.compile(r"<(?=!(?:channel|here|everyone|group|subteam)|[@#][A-Z])")
_WORD_JOINER = "\u2060"  # shows nothing


class SlackPlatform:
    """The worker's half: a :class:`app.platforms.platform.Platform`. Close it with :meth:`aclose`, which closes ``tokens``."""

    name = NAME
    idempotent = False

    def __init__(self, api: WebApi, tokens: AccessTokens) -> None:
        self._api, self._tokens = api, tokens

    @classmethod
    def from_settings(cls, settings: SlackSettings, tokens: AccessTokens) -> Self:
        return cls(WebApi(settings.slack_api_url), tokens)

    def render(self, response: Response) -> tuple[str, ...]:
        texts = split(parse(response.text), MAX_TEXT_UNITS, utf16_units, _markdown)
        return (*(_json({"markdown_text": text}) for text in texts), *map(_file_part, response.attachments))

    def pace(self, event: Event) -> Pace | None:
        return Pace(key=f"{NAME}:{event.tenant}:{event.reply_to['channel']}", seconds=CHANNEL_SECONDS)

    async def send(self, event: Event, part: str, key: str) -> str:
        """``channel:ts`` of a message, the id of a file."""
        content = json.loads(part)
        if "file" in content:
            return await self._send_file(event, content["file"])
        arguments = {
            "channel": event.reply_to["channel"],
            **_thread(event),
            **content,
            "unfurl_links": False,
            "unfurl_media": False,
            "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": key}},
        }
        reply = await self._call(event, "chat.postMessage", arguments)
        # Sent, whatever the answer leaves out: then it cannot be updated, and that is all.
        return f"{reply.text('channel')}:{reply.text('ts')}" if reply.text("channel") and reply.text("ts") else ""

    async def update(self, event: Event, sent: str, part: str, key: str) -> None:
        """Repeatable: the same words in the same place."""
        channel, _, stamp = sent.partition(":")
        content = json.loads(part)
        if not stamp or "file" in content:
            raise GivenUp("a message that Slack did not name, and a file, cannot be replaced")
        await self._call(event, "chat.update", {"channel": channel, "ts": stamp, **content}, repeatable=True)

    async def create_calendar_event(self, event: Event, entry: CalendarEntry, key: str) -> CalendarEvent:
        raise TaskFailed("unsupported", "Slack has no calendar")

    def findable(self, part: str) -> bool:
        """Whether :meth:`find` can tell what became of ``part``: a file carries no metadata."""
        return "file" not in json.loads(part)

    async def find(self, event: Event, key: str) -> bool:
        """Whether the message sent under ``key`` in answer to ``event`` has arrived. Needs the ``…:history`` scopes.
        Raises :class:`OutcomeUnknown` where more was said since than is read here.

        Another application in the channel could put the same metadata on a message of its own: only our bot's count."""
        own = (await self._call(event, "auth.test", {}, repeatable=True)).text("bot_id")
        thread = event.reply_to.get("thread_ts", "")
        asked = event.id.rpartition(":")[2]
        place = {"channel": event.reply_to["channel"], **({"ts": thread} if thread else {})}
        method = "conversations.replies" if thread else "conversations.history"
        arguments = {**place, "oldest": asked, "include_all_metadata": "true", "limit": str(PAGE_MESSAGES)}
        async for message in self._messages(event, method, arguments):
            metadata = message.get("metadata")
            if own and message.get("bot_id") == own and isinstance(metadata, dict) and metadata.get("event_type") == EVENT_TYPE:
                payload = metadata.get("event_payload")
                if isinstance(payload, dict) and payload.get("key") == key:
                    return True
        return False

    async def aclose(self) -> None:
        await self._tokens.aclose()
        await self._api.aclose()

    async def _messages(self, event: Event, method: str, arguments: Mapping[str, str]) -> AsyncIterator[Mapping[str, Any]]:
        cursor = ""
        for _ in range(MAX_PAGES):
            page = {**arguments, **({"cursor": cursor} if cursor else {})}
            values = (await self._call(event, method, page, repeatable=True, form=True)).values or {}
            messages, more = values.get("messages"), values.get("response_metadata")
            for message in messages if isinstance(messages, list) else ():
                if isinstance(message, dict):
                    yield message
            cursor = str(more.get("next_cursor") or "") if isinstance(more, dict) else ""
            if not cursor:
                return
        raise OutcomeUnknown(f"more than {MAX_PAGES * PAGE_MESSAGES} messages were written since: look for the answer yourself")

    async def _send_file(self, event: Event, file: Mapping[str, str]) -> str:
        """Three calls, of which only the last shows anything to anybody."""
        content = file["content"].encode("utf-8", "replace")
        place = await self._call(
            event,
            "files.getUploadURLExternal",
            {"filename": file["name"], "length": str(len(content))},
            repeatable=True,
            form=True,
        )
        await self._upload(place.text("upload_url"), content)
        number = place.text("file_id")
        shared = {
            "files": [{"id": number, "title": file["name"]}],
            "channel_id": event.reply_to["channel"],
            **_thread(event),
        }
        await self._call(event, "files.completeUploadExternal", shared)
        return number

    async def _upload(self, url: str, content: bytes) -> None:
        try:
            status = await self._api.upload(url, content)
        except CallFailed as error:
            raise Retryable(f"Slack did not take the file: {error}", counted=error.sent) from None
        except ValueError as error:
            raise GivenUp(f"Slack names a place for the file that is not used: {error}") from None
        if status != 200:
            raise Retryable(f"Slack answered {status} to the file")

    async def _call(
        self, event: Event, method: str, arguments: Mapping[str, Any], *, repeatable: bool = False, form: bool = False
    ) -> Reply:
        """The answer of a call that was done; a token that Slack does not accept is replaced and the call repeated, once.
        ``repeatable``: doing it twice harms nobody, so that an unknown outcome is only a reason to repeat it."""
        team = event.reply_to["team"]
        token = await self._token(team)
        reply, judged = await self._attempt(method, token, arguments, repeatable=repeatable, form=form)
        if judged.verdict is Verdict.UNAUTHENTICATED:
            await self._tokens.rejected(team, token)
            token = await self._token(team)
            reply, judged = await self._attempt(method, token, arguments, repeatable=repeatable, form=form)
        if judged.verdict is not Verdict.DONE:
            raise _outcome(judged, reply.answer.retry_after, repeatable=repeatable)
        return reply

    async def _attempt(
        self, method: str, token: str, arguments: Mapping[str, Any], *, repeatable: bool, form: bool
    ) -> tuple[Reply, Judgement]:
        try:
            reply = await self._api.call(method, token, arguments, form=form)
        except CallFailed as error:
            if error.sent and not repeatable:
                raise OutcomeUnknown(f"{method} left and no answer came: {error}") from None
            raise Retryable(f"Slack did not take {method}: {error}", counted=error.sent) from None
        return reply, judge(method, reply.answer.status, reply.error, reply.text("needed"))

    async def _token(self, team: str) -> str:
        try:
            return await self._tokens.token(team)
        except AccessTokenUnavailable as error:
            raise Retryable(str(error), error.retry_after, counted=False) from None
        except AccessTokenRefused as error:
            # Not the event's fault, but somebody has to mend it: after the usual attempts it is a dead letter, to be replayed.
            raise Retryable(str(error)) from None


def _outcome(judged: Judgement, retry_after: float | None, *, repeatable: bool) -> Exception:
    match judged.verdict:
        case Verdict.BUSY:
            return Retryable(judged.reason, retry_after, counted=False)
        case Verdict.LOST:
            return Retryable(judged.reason, retry_after)
        case Verdict.UNAUTHENTICATED:
            # As with tokens that cannot be had: somebody has to mend it, and replays the event then.
            return Retryable(judged.reason)
        case Verdict.UNKNOWN:
            return Retryable(judged.reason) if repeatable else OutcomeUnknown(judged.reason)
    return GivenUp(judged.reason)


def _markdown(document: Document) -> str:
    return _CALL.sub(f"<{_WORD_JOINER}", to_markdown(document))


def _thread(event: Event) -> dict[str, str]:
    thread = event.reply_to.get("thread_ts", "")
    return {"thread_ts": thread} if thread else {}


def _file_part(file: Attachment) -> str:
    return _json({"file": {"name": file.name, "content": file.content}})


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
