"""The worker's half of Feishu and Lark: answers in place, files, calendar entries.

Replies carry a ``uuid``, which makes a repeated call one message for an hour (at most 50 characters; source:
https://open.feishu.cn/document/server-docs/im-v1/message/reply). The worker's attempts end well before; who replays an event
after more than an hour, whose answer was sent without Feishu's saying so, sends it a second time.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx2

from app.auth.access_tokens import AccessTokens
from app.pipeline.event import Event
from app.pipeline.responses import Attachment, Response
from app.platforms.feishu import messages
from app.platforms.feishu.api import CALL_SECONDS, FeishuApi, path_of
from app.platforms.feishu.calendar import FeishuCalendar
from app.platforms.feishu.errors import CARD_REFUSED, Refused
from app.platforms.feishu.payload import NAME
from app.platforms.platform import CalendarEntry, CalendarEvent, GivenUp, Pace, Retryable

CHAT_SECONDS = 0.25  # Feishu: 5 a second to one person, and to one group by all its bots together
MESSAGES = "/im/v1/messages/"
MAX_UUID_CHARACTERS = 50


class FeishuPlatform:
    """``tokens`` and ``client`` are closed with it."""

    name = NAME
    idempotent = True

    def __init__(
        self,
        url: str,
        *,
        tokens: AccessTokens,
        client: httpx2.AsyncClient,
        calendar_id: str | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._tokens, self._client = tokens, client
        self._api = FeishuApi(url, tokens, client, call_seconds)
        self._calendar = FeishuCalendar(self._api, calendar_id)

    def render(self, response: Response) -> tuple[str, ...]:
        return messages.render(response)

    def pace(self, event: Event) -> Pace:
        return Pace(key=f"{NAME}:{event.tenant}:{event.reply_to.get('chat_id', event.conversation)}", seconds=CHAT_SECONDS)

    async def send(self, event: Event, part: str, key: str) -> str:
        message = json.loads(part)
        if file := messages.attachment(message):
            message = await self._uploaded(event.tenant, file)
        try:
            return await self._reply(event, message, key)
        except Refused as refused:
            if message["msg_type"] != "interactive" or refused.code not in CARD_REFUSED:
                raise
            # Better plain than never seen. Nothing was sent yet, so the key is still free.
            return await self._reply(event, messages.as_text(message), key)

    async def update(self, event: Event, sent: str, part: str, key: str) -> None:
        """A card by one interface, a text by another; neither becomes the other, and a file cannot be changed."""
        message: dict[str, Any] = json.loads(part)
        path = path_of(MESSAGES, sent)
        if message.get("msg_type") == "interactive":
            await self._api.call(event.tenant, "PATCH", path, {"content": message["content"]}, what="the changed answer")
        elif "msg_type" in message:
            body = {"msg_type": message["msg_type"], "content": message["content"]}
            await self._api.call(event.tenant, "PUT", path, body, what="the changed answer")
        else:
            raise GivenUp("Feishu lets no file be replaced by another")

    async def create_calendar_event(self, event: Event, entry: CalendarEntry, key: str) -> CalendarEvent:
        return await self._calendar.create(event, entry, key)

    async def aclose(self) -> None:
        await self._tokens.aclose()
        await self._client.aclose()

    async def _reply(self, event: Event, message: dict[str, str], key: str) -> str:
        body = {
            "msg_type": message["msg_type"],
            "content": message["content"],
            "uuid": key[:MAX_UUID_CHARACTERS],
            **({"reply_in_thread": True} if event.reply_to.get("thread") else {}),
        }
        target = event.reply_to.get("message_id", event.id)
        data = await self._api.call(event.tenant, "POST", path_of(MESSAGES, target, "/reply"), body, what="the answer")
        return sent if isinstance(sent := data.get("message_id"), str) else ""

    async def _uploaded(self, team: str, file: Attachment) -> dict[str, str]:
        """The message that shows ``file``. One that was uploaded twice is shown once, since nobody sees a file by itself."""
        body, content_type = multipart(file)
        data = await self._api.exchange(team, "POST", "/im/v1/files", body, content_type, what="the file")
        if not isinstance(number := data.get("file_key"), str):
            raise Retryable("Feishu took a file without naming it")
        return {"msg_type": "file", "content": json.dumps({"file_key": number})}


def multipart(file: Attachment) -> tuple[bytes, str]:
    """The form that uploads take, and its content type. ``stream`` is Feishu's word for any kind of file."""
    content = file.content.encode("utf-8", "replace")
    boundary = hashlib.sha256(content).hexdigest()[:32]
    name = "".join(character for character in file.name if character.isprintable() and character not in '"\\') or "file"
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in (("file_type", "stream"), ("file_name", name))
    )
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    kind = "Content-Type: application/octet-stream\r\n\r\n"
    return (
        (fields + head + kind).encode() + content + f"\r\n--{boundary}--\r\n".encode(),
        f"multipart/form-data; boundary={boundary}",
    )
