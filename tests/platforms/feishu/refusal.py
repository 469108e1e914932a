"""An error as Feishu answers it: a code and a sentence in the body, a status that varies by interface."""

from __future__ import annotations

from typing import Any

from generic.faulty_server import Answer


class Refused(Exception):
    def __init__(self, code: int, message: str, status: int = 400, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(f"{status} code {code} {message}")
        self.answer = Answer(status, {"code": code, "msg": message, **more}, dict(headers or {}))
