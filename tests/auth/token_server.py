"""Feishu's and Slack's token endpoints as far as they are documented, on a socket, counting what is asked."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from urllib.parse import parse_qs

from generic.faulty_server import Answer, Fault, FaultyServer

FEISHU_PATH = "/open-apis/auth/v3/tenant_access_token/internal"
SLACK_PATH = "/api/oauth.v2.access"


class TokenServer:
    """``requests``: how many came. ``delay``: seconds before each answer. Slack's refresh token is good for one use."""

    def __init__(self) -> None:
        self.requests = 0
        self.delay = 0.0
        self.faults: list[Fault] = []
        self.refusal: dict[str, object] | None = None
        self.expire: int = 7200
        self.refresh_tokens = {"xoxe-1-first"}
        self._numbers = itertools.count(1)
        self._lock = threading.Condition()
        self._server = FaultyServer("127.0.0.1", 0, self._handle, self._fault)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    async def asked(self, times: int) -> None:
        """Returns once that many requests have come."""

        def wait() -> None:
            with self._lock:
                assert self._lock.wait_for(lambda: self.requests >= times, timeout=30)

        await asyncio.to_thread(wait)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _fault(self, path: str) -> Fault | None:
        with self._lock:
            return self.faults.pop(0) if self.faults else None

    def _handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        with self._lock:
            self.requests += 1
            answer = self._answer(path, body)
            self._lock.notify_all()
        time.sleep(self.delay)
        return answer

    def _answer(self, path: str, body: bytes) -> Answer:
        if self.refusal is not None:
            return Answer(200, self.refusal)
        number = next(self._numbers)
        if path == FEISHU_PATH:
            assert json.loads(body) == {"app_id": "cli_a", "app_secret": "secret"}
            return Answer(200, {"code": 0, "msg": "ok", "tenant_access_token": f"t-{number}", "expire": self.expire})
        assert path == SLACK_PATH
        form = parse_qs(body.decode())
        assert form["grant_type"] == ["refresh_token"]
        presented = form["refresh_token"][0]
        if presented not in self.refresh_tokens:
            return Answer(200, {"ok": False, "error": "invalid_refresh_token"})
        self.refresh_tokens.remove(presented)
        self.refresh_tokens.add(f"xoxe-1-{number}")
        pair = {"access_token": f"xoxe.xoxb-{number}", "refresh_token": f"xoxe-1-{number}", "expires_in": self.expire * 6}
        return Answer(200, {"ok": True, **pair})
