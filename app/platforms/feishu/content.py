"""What somebody said, out of a message's ``content``: plain text, or the text of a rich one ("post"), mentions by name.

Source: https://open.feishu.cn/document/uAjLw4CM/ukTMukTMukTM/reference/im-v1/message-content-description/message_content
A content is a JSON document in a string. Where somebody is mentioned it holds a key (``@_user_1``) that the message's
``mentions`` explain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

READABLE = frozenset({"text", "post"})
_KEY = re.compile(r"(@_user_\d+|@_all)([ \t\u00a0]*)")


@dataclass(frozen=True, slots=True)
class Mention:
    key: str
    open_id: str
    name: str
    kind: str  # "user", "bot", or "" where the platform does not tell


def text_of(kind: str, content: Mapping[str, Any]) -> str:
    """The text of a message of ``kind`` (one of :data:`READABLE`), mentions as keys. Raises :class:`ValueError`."""
    if kind == "text":
        if not isinstance(text := content.get("text"), str):
            raise ValueError("has no text")
        return text
    return "\n".join(_lines(content)).strip("\n")


def own_mentions(mentions: tuple[Mention, ...], text: str, bot_open_id: str | None) -> frozenset[str]:
    """The keys that stand for the assistant itself.

    Known by its open_id where that is configured, else by what the platform tells of each mention. Where it tells nothing, the
    mention that begins the message is taken for ours, since Feishu delivers the messages that mention the bot.
    """
    if bot_open_id is not None:
        return frozenset(mention.key for mention in mentions if mention.open_id == bot_open_id)
    if any(mention.kind for mention in mentions):
        return frozenset(mention.key for mention in mentions if mention.kind in ("bot", "app"))
    begins = _KEY.match(text.lstrip())
    return frozenset(mention.key for mention in mentions if begins and mention.key == begins[1])


def named(text: str, mentions: tuple[Mention, ...], own: frozenset[str]) -> str:
    """``text`` with each key as ``@name``, those in ``own`` dropped with the blanks behind them."""
    names = {mention.key: f"@{mention.name}" for mention in mentions}

    def name(found: re.Match[str]) -> str:
        return "" if found[1] in own else names.get(found[1], found[1]) + found[2]

    return _KEY.sub(name, text).strip()


def _lines(content: Mapping[str, Any]) -> Iterator[str]:
    """A post, as it is received (``title`` and ``content``) or sent (the same under a language)."""
    if "content" not in content:
        content = next((part for part in content.values() if isinstance(part, Mapping) and "content" in part), {})
    paragraphs = content.get("content")
    if not isinstance(paragraphs, list):
        raise ValueError("is no rich text")
    if isinstance(title := content.get("title"), str) and title:
        yield title
    for paragraph in paragraphs:
        elements = paragraph if isinstance(paragraph, list) else []
        yield "".join(_element(element) for element in elements if isinstance(element, dict))


def _element(element: Mapping[str, Any]) -> str:
    def field(name: str) -> str:
        return value if isinstance(value := element.get(name), str) else ""

    match field("tag"):
        case "a":
            text, url = field("text"), field("href")
            return f"{text} ({url})" if url and text != url else text or url
        case "at":
            return field("user_id")  # a key
        case "code_block":
            return f"```{field('language').lower()}\n{field('text').removesuffix(chr(10))}\n```"
        case "hr":
            return "---"
        case _:  # text, md; a picture or an emoji has none
            return field("text")
