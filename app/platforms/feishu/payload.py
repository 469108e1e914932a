"""What Feishu delivers, decrypted, as the pipeline's event: shared by the webhook and the long connection.

Source: https://open.feishu.cn/document/uAjLw4CM/ukTMukTMukTM/reference/im-v1/message/events/receive

* **Read** are text and rich text of a person: in a chat of two always, in a group where the assistant is mentioned. A mention
  alone becomes an empty text, which the router answers with help. Everything else is genuine and ignored.
* **Identity** is the ``message_id``, as that page demands (it says not to rely on the ``event_id``); a retry has both again.
* **Conversation** is, in a group, the message that began the thread or the replies; in a chat of two, the chat or its thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.http.body import parse_json, validate
from app.http.errors import ApiError
from app.pipeline.event import Event
from app.platforms.feishu.content import READABLE, Mention, named, own_mentions, text_of
from app.platforms.inbound import Ignored

NAME = "feishu"
MESSAGE_EVENT = "im.message.receive_v1"

# No colon in what an event's key is made of, and nothing that could forge a line or leave a path.
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@\-]{1,128}$")]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Header(_Model):
    event_id: Id
    event_type: Annotated[str, Field(max_length=128)]


class _MessageHeader(_Header):
    tenant_key: Id


class _Ids(_Model):
    open_id: Id | None = None


class _Sender(_Model):
    sender_type: Annotated[str, Field(max_length=32)]
    sender_id: _Ids | None = None


class _Mention(_Model):
    key: Annotated[str, Field(max_length=64)]
    id: _Ids | None = None
    name: Annotated[str, Field(max_length=256)] | None = None
    mentioned_type: Annotated[str, Field(max_length=32)] | None = None


class _Message(_Model):
    message_id: Id
    chat_id: Id
    chat_type: Annotated[str, Field(max_length=32)]
    message_type: Annotated[str, Field(max_length=32)]
    content: str
    root_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@\-]{0,128}$")] | None = None
    thread_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@\-]{0,128}$")] | None = None
    mentions: Annotated[list[_Mention], Field(max_length=1000)] | None = None


class _Body(_Model):
    sender: _Sender
    message: _Message


class _Envelope(_Model):
    header: _Header


class _MessageEvent(_Model):
    header: _MessageHeader
    event: _Body


def parse_payload(payload: Mapping[str, Any], now: float, bot_open_id: str | None = None) -> Event | Ignored:
    """``payload``: the decrypted JSON; ``now`` in Unix seconds. Raises :class:`app.http.errors.ApiError` 400 with the field."""
    if "schema" not in payload and "uuid" in payload:
        # Subscribed in the first, superseded form, which says of a message much less.
        return Ignored(f"{NAME}:v1:{str(payload['uuid'])[:128]}")
    header = validate(_Envelope, dict(payload)).header
    if header.event_type != MESSAGE_EVENT:
        return Ignored(f"{NAME}:-:{header.event_id}")
    read = validate(_MessageEvent, dict(payload))
    tenant, body, message = read.header.tenant_key, read.event, read.event.message
    ignored = Ignored(f"{NAME}:{tenant}:{message.message_id}")
    if body.sender.sender_type != "user" or message.message_type not in READABLE:
        return ignored
    if body.sender.sender_id is None or body.sender.sender_id.open_id is None:
        raise ApiError(400, "missing_field", "event.sender.sender_id.open_id: field required", param="event.sender.sender_id")
    text = _content(message)
    mentions = tuple(
        Mention(one.key, (one.id.open_id if one.id else None) or "", one.name or "", one.mentioned_type or "")
        for one in message.mentions or ()
    )
    own = own_mentions(mentions, text, bot_open_id)
    private = message.chat_type == "p2p"
    if not private and not own:
        return ignored
    return Event(
        id=message.message_id,
        platform=NAME,
        tenant=tenant,
        conversation=_conversation(message, private=private),
        sender=body.sender.sender_id.open_id,
        text=named(text, mentions, own),
        received_at=datetime.fromtimestamp(now, UTC),
        reply_to=MappingProxyType(
            {
                "message_id": message.message_id,
                "chat_id": message.chat_id,
                "chat_type": message.chat_type,
                "thread": message.thread_id or "",
            }
        ),
    )


def _content(message: _Message) -> str:
    try:
        content = parse_json(message.content.encode("utf-8", "surrogatepass"))
        if not isinstance(content, dict):
            raise ValueError("is not a JSON object")
        return text_of(message.message_type, content)
    except ApiError as error:
        raise ApiError(400, error.code, f"event.message.content: {error.message}", param="event.message.content") from None
    except ValueError as error:
        raise ApiError(400, "invalid_value", f"event.message.content {error}", param="event.message.content") from None


def _conversation(message: _Message, *, private: bool) -> str:
    """A reply names its root; the root itself is named by its own id, so that both are one conversation."""
    if private and not message.thread_id:
        return message.chat_id
    return f"{message.chat_id}:{message.root_id or message.message_id}"
