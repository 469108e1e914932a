"""An answer as the messages that Feishu shows: plain text where it is nothing else, else a card with Markdown. Pure.

Cards (JSON 2.0) alone show tables, code and headings; a rich text ("post") shows neither tables nor headings. What is plain
goes as text, which notifications quote, which can be searched, and which clients older than 7.20 show too.

A part is opaque to the pipeline: ``{"msg_type", "content"}`` as Feishu takes it, or ``{"file": {"name", "content"}}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from app.pipeline.document import Block, Document, Inline, LineBreak, Link, Paragraph, Table, Text, parse
from app.pipeline.measure import utf8_bytes
from app.pipeline.responses import Attachment, Response
from app.pipeline.splitting import split
from app.platforms.feishu.markdown import markdown

# Feishu takes 30 KB of a card's request (150 KB of a text's), https://open.feishu.cn/document/server-docs/im-v1/message/reply;
# the other fields of the request, and what it counts beside them, have the rest.
LIMIT_BYTES = 28_000
CARD_TABLES = 4  # a card with more than five is refused whole (230099, "card table number over limit")
_MARKUP = re.compile(r"[<*~\[]")  # text knows a little markup of its own, among it <at user_id="all">
_ENTITY = re.compile(r"&#(\d{1,6});")


def render(response: Response) -> tuple[str, ...]:
    """At least one part where there is anything to say."""
    document = parse(response.text)
    parts: list[str] = []
    for group in _with_few_tables(document):
        parts += split(group, LIMIT_BYTES, utf8_bytes, message)
    return (*parts, *(_json({"file": {"name": file.name, "content": file.content}}) for file in response.attachments))


def message(document: Document) -> str:
    plain = _plain(document)
    if plain is not None:
        return _json({"msg_type": "text", "content": _json({"text": plain})})
    return _json({"msg_type": "interactive", "content": _json(card(markdown(document)))})


def card(text: str) -> dict[str, Any]:
    """``update_multi``: one card for all who see it, without which it cannot be changed later."""
    return {
        "schema": "2.0",
        "config": {"update_multi": True},
        "body": {"elements": [{"tag": "markdown", "content": text}]},
    }


def as_text(message: dict[str, str]) -> dict[str, str]:
    """A card's Markdown as plain text; ``<`` stays an entity, so that nothing becomes a mention."""
    content = json.loads(message["content"])["body"]["elements"][0]["content"]
    text = _ENTITY.sub(lambda found: found[0] if found[1] == "60" else chr(int(found[1])), content)
    return {"msg_type": "text", "content": _json({"text": text})}


def attachment(part: dict[str, Any]) -> Attachment | None:
    file = part.get("file")
    return Attachment(file["name"], "application/octet-stream", file["content"]) if file else None


def _with_few_tables(document: Document) -> Iterator[Document]:
    blocks: list[Block] = []
    for block in document.blocks:
        if isinstance(block, Table) and sum(isinstance(other, Table) for other in blocks) == CARD_TABLES:
            yield Document(tuple(blocks))
            blocks = []
        blocks.append(block)
    if blocks:
        yield Document(tuple(blocks))


def _plain(document: Document) -> str | None:
    """The text, where it is nothing but text and could not be taken for markup."""
    lines: list[str] = []
    for block in document.blocks:
        if not isinstance(block, Paragraph):
            return None
        words = [_word(inline) for inline in block.content]
        if not all(isinstance(word, str) for word in words):
            return None
        lines.append("".join(word for word in words if word is not None))
    text = "\n\n".join(lines)
    return None if _MARKUP.search(text) else text


def _word(inline: Inline) -> str | None:
    match inline:
        case Text(text=text):
            return text
        case LineBreak():
            return "\n"
        case Link(children=(Text(text=text),), url=url, title="") if text == url:
            return url
    return None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
