"""One event on its way to a webhook: posted, signed anew at each attempt, repeated on Feishu's schedule until it is taken."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from feishu.wire import ANSWER_SECONDS, RETRY_SECONDS, enclosed, signed


class Delivery:
    """``attempts``: the status of each, 0 where none came. ``answer``: the last body."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self.attempts: list[int] = []
        self.answer: dict[str, Any] = {}
        self.seconds = 0.0
        self._done, self._cancelled = threading.Event(), threading.Event()

    @property
    def taken(self) -> bool:
        return bool(self.attempts) and self.attempts[-1] == 200

    def wait(self, seconds: float = 20.0) -> Delivery:
        assert self._done.wait(seconds), f"not done after {seconds} s: {self.attempts}"
        return self

    def cancel(self) -> None:
        self._cancelled.set()

    def run(self, attempt: Callable[[], tuple[int, bytes]], waits: list[float], say: Callable[[str], None]) -> None:
        try:
            for number, wait in enumerate(waits):
                if self._cancelled.wait(wait):
                    return
                begun = time.monotonic()
                status, body = attempt()
                self.seconds = time.monotonic() - begun
                self.attempts.append(status)
                try:
                    self.answer = json.loads(body)
                except ValueError:
                    self.answer = {}
                if status == 200:
                    return
                again = f"again after {waits[number + 1]:g} s" if number + 1 < len(waits) else "given up"
                say(f"delivery  answered {status or 'by nobody'}: {again}")
        finally:
            self._done.set()


def deliver(
    url: str,
    payload: dict[str, Any],
    *,
    key: str | None,
    say: Callable[[str], None],
    time_scale: float = 0.001,
    signing: bool = True,
    attempts: int = len(RETRY_SECONDS),
    context: ssl.SSLContext | None = None,
    timeout: float = ANSWER_SECONDS,
) -> Delivery:
    """Begins at once, in a thread of its own."""

    def attempt() -> tuple[int, bytes]:
        body = enclosed(payload, key)
        headers = signed(key, body) if signing and key is not None else {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=context) as response:  # noqa: S310
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    message = payload.get("event", {}).get("message", {})
    delivery = Delivery(str(message.get("message_id", "")))
    waits = [seconds * time_scale for seconds in RETRY_SECONDS[:attempts]]
    threading.Thread(target=delivery.run, args=(attempt, waits, say), daemon=True).start()
    return delivery
