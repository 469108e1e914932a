"""The emulated chats: replies, keys that make a repeated call one message, limits of size and pace, files."""

from __future__ import annotations

import email.parser
import email.policy
import json
import re
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from feishu.refusal import Refused

CARD_BYTES, TEXT_BYTES = 30 * 1024, 150 * 1024
UUID_CHARACTERS, UUID_SECONDS = 50, 3600.0
CARD_TABLES = 5


class Messages:
    def __init__(self, clock: Callable[[], float], per_second: int, say: Callable[[str], None]) -> None:
        self._clock, self._per_second, self._say = clock, per_second, say
        self._chats: dict[str, tuple[str, str]] = {}  # of each message that there is: chat, thread
        self._keys: dict[str, tuple[float, dict[str, Any]]] = {}
        self._recent: dict[str, deque[float]] = defaultdict(deque)
        self.left: set[str] = set()  # chats that the bot was taken out of
        self.withdrawn: set[str] = set()
        self.sent: list[dict[str, Any]] = []
        self.repeated: list[dict[str, Any]] = []
        self.files: dict[str, dict[str, Any]] = {}

    def known(self, message_id: str, chat: str, thread: str) -> None:
        self._chats[message_id] = (chat, thread)

    def reply(self, message_id: str, body: dict[str, Any], size: int) -> dict[str, Any]:
        if message_id not in self._chats:
            raise Refused(230001, "Your request contains an invalid request parameter, ext=invalid message_id")
        if message_id in self.withdrawn:
            raise Refused(230011, "The message was withdrawn.")
        chat, thread = self._chats[message_id]
        in_thread = bool(thread) or body.get("reply_in_thread") is True
        return self._add(chat, body, size, parent=message_id, thread=thread or ("omt_new" if in_thread else ""))

    def write(self, query: dict[str, str], body: dict[str, Any], size: int) -> dict[str, Any]:
        if query.get("receive_id_type") not in ("open_id", "chat_id", "user_id", "union_id", "email"):
            raise Refused(99992402, "field validation failed")
        return self._add(str(body.get("receive_id")), body, size, parent="", thread="")

    def patch(self, message_id: str, body: dict[str, Any], size: int) -> dict[str, Any]:
        message = self._own(message_id)
        card = self._content({"msg_type": "interactive", "content": body.get("content")}, size)
        if message["msg_type"] != "interactive" or not card.get("config", {}).get("update_multi"):
            raise Refused(230001, "Your request contains an invalid request parameter, ext=not a shared card")
        return self._change(message, body["content"])

    def edit(self, message_id: str, body: dict[str, Any], size: int) -> dict[str, Any]:
        message = self._own(message_id)
        self._content(body, size)
        if message["msg_type"] not in ("text", "post") or body.get("msg_type") != message["msg_type"]:
            raise Refused(230054, "This operation is not supported for this message type.")
        return self._change(message, body["content"])

    def upload(self, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        head = f"Content-Type: {headers.get('content-type', '')}\r\n\r\n".encode()
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
        if not set(parts) >= {"file_type", "file_name", "file"}:
            raise Refused(234001, "Invalid request param.")
        content = parts["file"].get_payload(decode=True)
        if not content:
            raise Refused(234010, "File's size can't be 0.")
        name = parts["file_name"].get_payload(decode=True).decode()
        number = f"file_v3_{len(self.files) + 1:04d}"
        self.files[number] = {"name": name, "content": content}
        return {"file_key": number}

    def _add(self, chat: str, body: dict[str, Any], size: int, *, parent: str, thread: str) -> dict[str, Any]:
        if chat in self.left:
            raise Refused(230002, "Bot can NOT be out of the chat.")
        content = self._content(body, size)
        key = body.get("uuid")
        if key is not None and (not isinstance(key, str) or len(key) > UUID_CHARACTERS):
            raise Refused(230001, "Your request contains an invalid request parameter, ext=uuid")
        if key and (earlier := self._keys.get(key)) and self._clock() - earlier[0] < UUID_SECONDS:
            self.repeated.append({"uuid": key, "chat_id": chat})
            self._say(f"message   repeated for {chat}: no second effect")
            return earlier[1]
        self._count(chat)
        number = f"om_sent_{len(self.sent) + 1}"
        message = {
            "message_id": number,
            "chat_id": chat,
            "parent_id": parent,
            "thread_id": thread,
            "msg_type": body["msg_type"],
            "content": content,
            "uuid": key or "",
            "text": shown_text(body["msg_type"], content, self.files),
        }
        self._chats[number] = (chat, thread)
        self.sent.append(message)
        self._say(f"assistant → {message['text']}")
        data = {"message_id": number, "chat_id": chat, "msg_type": body["msg_type"], "body": {"content": body["content"]}}
        if key:
            self._keys[key] = (self._clock(), data)
        return data

    def _content(self, body: dict[str, Any], size: int) -> dict[str, Any]:
        kind = body.get("msg_type")
        if size > (TEXT_BYTES if kind == "text" else CARD_BYTES):
            raise Refused(230025, "The length of the message content reaches its limit.")
        try:
            content = json.loads(body["content"])
        except (KeyError, TypeError, ValueError):
            raise Refused(
                230001, "Your request contains an invalid request parameter, ext=content is not a JSON string"
            ) from None
        fine = {
            "text": lambda: isinstance(content["text"], str) and content["text"],
            "file": lambda: content["file_key"] in self.files,
            "interactive": lambda: content["schema"] == "2.0" and content["body"]["elements"][0]["tag"] == "markdown",
        }
        try:
            if kind not in fine or not fine[kind]():
                raise Refused(230001, "Your request contains an invalid request parameter")
        except (KeyError, TypeError, IndexError):
            raise Refused(230001, "Your request contains an invalid request parameter") from None
        if kind == "interactive" and _tables(content["body"]["elements"][0]["content"]) > CARD_TABLES:
            raise Refused(
                230099,
                "Failed to create card content, ext=ErrCode: 11310; ErrMsg: card table number over limit; ErrorValue: table;",
            )
        return dict(content)

    def _count(self, chat: str) -> None:
        now, recent = self._clock(), self._recent[chat]
        while recent and now - recent[0] >= 1.0:
            recent.popleft()
        if len(recent) >= self._per_second:
            wait = {"x-ogw-ratelimit-limit": str(self._per_second), "x-ogw-ratelimit-reset": "1"}
            raise Refused(230020, "This operation triggers the frequency limit.", 400, wait)
        recent.append(now)

    def _own(self, message_id: str) -> dict[str, Any]:
        for message in self.sent:
            if message["message_id"] == message_id:
                return message
        raise Refused(230017, "Bot is NOT the owner of the resource.")

    def _change(self, message: dict[str, Any], content: str) -> dict[str, Any]:
        message["content"] = json.loads(content)
        message["text"] = shown_text(message["msg_type"], message["content"], self.files)
        message["changed"] = message.get("changed", 0) + 1
        self._say(f"assistant ✎ {message['text']}")
        return {"message_id": message["message_id"]}


def shown_text(kind: str, content: dict[str, Any], files: dict[str, dict[str, Any]]) -> str:
    """What a person sees, in one line."""
    if kind == "file":
        return f"[{files[content['file_key']]['name']}]"
    text = content["text"] if kind == "text" else content["body"]["elements"][0]["content"]
    return "".join(character if character.isprintable() else " " for character in text)


def _tables(markdown: str) -> int:
    return len(re.findall(r"(?m)^\|(?: ?-+ ?\|)+$", markdown))
