"""Strict reading of JSON request bodies.

What two parsers could understand differently, or what costs more to read than it may cost to send, is refused: bodies over
the cap (413, enforced while they stream in, whatever Content-Length says), compressed bodies (415), and with 400 invalid
UTF-8, NUL, lone surrogates, duplicate keys, NaN and Infinity (also as 1e999), deep nesting and unknown fields.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.types import Receive, Scope

from app.http.errors import ApiError

DEFAULT_LIMIT = 1024 * 1024  # bytes: a long document fits, a mistake does not
MAX_VALUES = 10_000  # in one array or object: more is no request of ours, and a walk over millions would hold up the others
MAX_DIGITS = 20  # of an integer: 64 bits and a sign
MAX_DEPTH = 32  # no request of ours nests deeper than a few levels

M = TypeVar("M", bound=BaseModel)


async def read_bytes(request: Request, limit: int = DEFAULT_LIMIT) -> bytes:
    """The raw body, at most ``limit`` bytes. Raises :class:`ApiError` 413 or 415, and 400 where the caller hung up."""
    refuse_declared(request.scope, limit)
    return await receive_bytes(request.scope, request.receive, limit)


async def receive_bytes(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The same in ASGI's own terms, for who has called :func:`refuse_declared` before."""
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise ApiError(415, "unsupported_encoding", "Content-Encoding is not supported: send the body uncompressed")
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            # Nobody is there to read it, but the refusal ends the request without a traceback.
            raise ApiError(400, "client_disconnected", "the connection closed before the body was complete")
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return bytes(body)


def refuse_declared(scope: Scope, limit: int) -> None:
    """Raise :class:`ApiError` 413 where Content-Length already says more than ``limit`` bytes."""
    for name, declared in scope["headers"]:
        if name == b"content-length" and declared.isdigit() and (len(declared) > 15 or int(declared) > limit):
            raise _too_large(limit)


async def read_json(request: Request, limit: int = DEFAULT_LIMIT) -> Any:
    """The body as JSON, strictly. Raises :class:`ApiError` 400, 413 or 415."""
    return parse_json(await read_bytes(request, limit))


async def read_model(request: Request, model: type[M], limit: int = DEFAULT_LIMIT) -> M:
    """The body as a ``model``, whose configuration should be ``strict=True, extra="forbid"``. Raises as :func:`read_json`."""
    return validate(model, await read_json(request, limit))


def openapi(model: type[BaseModel]) -> dict[str, Any]:
    """``openapi_extra`` for a route that reads its body with :func:`read_model`, so that /docs shows its schema."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


def parse_json(raw: bytes) -> Any:
    """Decode and parse ``raw``; raises :class:`ApiError` 400 for all that the module's docstring lists."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"the body is not UTF-8 (byte {error.start})") from None
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _invalid(f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:  # the parser's own guard, far above ours
        raise _too_deep() from None
    if _is_plain(text):
        return value
    for string in _strings(value):
        if "\x00" in string:
            raise _invalid("the body holds a NUL character (\\u0000), which is not allowed")
        if not string.isascii() and any("\ud800" <= character <= "\udfff" for character in string):
            raise _invalid("the body holds a lone surrogate (\\ud800 to \\udfff), which is not a character")
    return value


def validate(model: type[M], value: Any) -> M:
    """``value`` (parsed JSON) as a ``model``. Raises :class:`ApiError` 400 that names the first field at fault and why."""
    if not isinstance(value, dict):
        raise ApiError(400, "invalid_type", f"the body is a JSON {_kind(value)}; an object is expected")
    if model.model_config.get("extra") == "forbid":
        _refuse_unknown(model, value)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        param = ".".join(str(part) for part in first["loc"])[:64]
        kind = first["type"]
        code = "missing_field" if kind == "missing" else "invalid_type" if kind.endswith("_type") else "invalid_value"
        message = f"{param or 'body'}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        raise ApiError(400, code, message, param=param or None) from None


def _refuse_unknown(model: type[BaseModel], value: dict[str, Any]) -> None:
    known = {field.alias or name for name, field in model.model_fields.items()}
    if unknown := [name for name in value if name not in known]:
        shown = ", ".join(repr(name[:64]) for name in unknown[:5])
        message = f"unknown field {shown}; known are {', '.join(sorted(known))}"
        raise ApiError(400, "unknown_field", message, param=unknown[0][:64])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _invalid(f"the key {twice[:64]!r} stands twice in one object")
    return made


def _no_constant(name: str) -> Any:
    raise _invalid(f"{name} is not a JSON number")


def _short(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _invalid("a number is too large")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _invalid("a number is too large")
    return number


def _is_plain(text: str) -> bool:
    """Whether nothing in ``text`` makes a walk through its strings and its nesting necessary: no escape for a NUL or half a
    surrogate pair, and fewer brackets and commas than would be too many even if all stood one inside the other."""
    escapes = "\\u0000" in text or "\\ud" in text or "\\uD" in text or "\x00" in text
    return not escapes and text.count("{") + text.count("[") <= MAX_DEPTH and text.count(",") < MAX_VALUES


def _strings(value: Any) -> Iterator[str]:
    """Every string of ``value``, keys too. Raises :class:`ApiError` where it nests too deep or holds too much."""
    pending = [(value, 1)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict | list):
            if depth > MAX_DEPTH:
                raise _too_deep()
            if len(item) > MAX_VALUES or len(pending) > MAX_VALUES:
                raise _invalid(f"the body holds more than {MAX_VALUES} values")
            if isinstance(item, dict):
                yield from item
                item = list(item.values())
            pending.extend((child, depth + 1) for child in item if isinstance(child, str | dict | list))


def _kind(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", type(None): "null"}
    return names.get(type(value), "object")


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "body_too_large", f"the body is larger than the {limit} bytes allowed here")


def _too_deep() -> ApiError:
    return _invalid(f"the body nests deeper than {MAX_DEPTH} levels")


def _invalid(message: str) -> ApiError:
    return ApiError(400, "invalid_json", message)


# Made once: a decoder of one's own for each body costs as much as a small body.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite, parse_int=_short)
