"""Text to token ids and back.

Control tokens are recognised in the template's text alone: what a user writes is literal, so ``<|im_end|>`` in a message is
ten characters that end nothing. Only byte-level BPE is known (GPT-2's alphabet), which is what the exporter writes.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer as Backend

from app.inference.chat import Frame
from app.inference.errors import StartError


class Tokenizer:
    """``tokenizer.json`` with the frame of a chat; thread-safe."""

    def __init__(self, backend: Backend, added: dict[str, int], bytes_of: dict[int, bytes], frame: Frame) -> None:
        self._backend, self._added, self._bytes_of, self._frame = backend, added, bytes_of, frame
        longest_first = sorted(added, key=len, reverse=True)
        self._control = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")") if added else None
        # Literal text next to the message is encoded together with it, as one stretch between two control tokens.
        before, after = self._split(frame.before), self._split(frame.after)
        self._prefix, self._lead = self._ids(before[:-1]), before[-1]
        self._suffix, self._trail = self._ids(after[1:]), after[0]

    def encode(self, message: str) -> list[int]:
        """The ids of the whole prompt: the frame with the user's ``message`` as literal text."""
        return [*self._prefix, *self._literal(self._lead + self._frame.content(message) + self._trail), *self._suffix]

    def decoder(self) -> Detokenizer:
        return Detokenizer(self._bytes_of)

    def decode(self, ids: Iterable[int]) -> str:
        decoder = self.decoder()
        return "".join(decoder.add(token) for token in ids)

    def text_of(self, token: int) -> str:
        """How a control token is written; another token's own text."""
        return next((text for text, number in self._added.items() if number == token), self.decode([token]))

    def _split(self, text: str) -> list[str]:
        """Alternately literal text and control tokens; begins and ends with literal text, which may be empty."""
        return self._control.split(text) if self._control else [text]

    def _ids(self, pieces: list[str]) -> list[int]:
        ids: list[int] = []
        for piece in pieces:
            ids.extend([self._added[piece]] if piece in self._added else self._literal(piece))
        return ids

    def _literal(self, text: str) -> list[int]:
        return self._backend.encode(text, add_special_tokens=False).ids if text else []


class Detokenizer:
    """Ids to text as they come: a character whose bytes are spread over tokens appears with its last byte, and a broken one
    at the end not at all. Control tokens have no text."""

    def __init__(self, bytes_of: dict[int, bytes]) -> None:
        self._bytes_of = bytes_of
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def add(self, token: int) -> str:
        """The text that ``token`` completes, often all of its own."""
        return self._utf8.decode(self._bytes_of.get(token, b""))


def load(path: Path, frame: Frame) -> Tokenizer:
    """Read ``tokenizer.json``. Raises :class:`StartError` for a file that is not one, or another kind of tokenizer."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = content.get("added_tokens") or []
        added = {str(entry["content"]): int(entry["id"]) for entry in entries}
        silent = {int(entry["id"]) for entry in entries if entry["special"]}
        # Without added tokens and post-processor the backend cannot find a control token in a text, nor add one.
        backend = Backend.from_str(json.dumps({**content, "added_tokens": [], "post_processor": None}))
        decoder = (content.get("decoder") or {}).get("type")
    except Exception as error:  # tokenizers raises bare Exception
        raise StartError(f"{path} cannot be read: {error}. Convert the model again") from None
    if decoder != "ByteLevel":
        raise StartError(f"{path} decodes by {decoder}; ByteLevel is what this server knows")
    bytes_of = {token: _bytes(text) for text, token in backend.get_vocab(with_added_tokens=False).items()}
    bytes_of |= {token: text.encode() for text, token in added.items()}
    return Tokenizer(backend, added, {token: text for token, text in bytes_of.items() if token not in silent}, frame)


def _alphabet() -> dict[str, int]:
    """GPT-2's characters for the 256 bytes: printable Latin-1 stands for itself, the rest follow from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + index): byte for index, byte in enumerate(others)}


_BYTES = _alphabet()


def _bytes(token: str) -> bytes:
    """A vocabulary entry's bytes; one written outside the alphabet (an unused control token) stands for itself."""
    if all(character in _BYTES for character in token):
        return bytes(_BYTES[character] for character in token)
    return token.encode()
