"""The answer route of a real gateway, with the cache behind it and a model that tells its digest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from generic.faulty_server import Answer, FaultyServer

DIGEST = "a" * 64


class Model:
    """``POST /predict`` and ``GET /readyz``; counts the predictions."""

    def __init__(self) -> None:
        self.predictions = 0
        self._server = FaultyServer("127.0.0.1", 0, self._handle, lambda _path: None)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, method: str, _path: str, _headers: dict[str, str], _body: bytes) -> Answer:
        if method == "GET":
            return Answer(200, {"status": "ready", "digest": DIGEST})
        self.predictions += 1
        return Answer(200, {"prediction": "Paris."}, {"X-Model-Digest": DIGEST})


@pytest.fixture
def model() -> Iterator[Model]:
    running = Model()
    yield running
    running.close()


@pytest.fixture
def cached(start_gateway: Any, redis_server: Any, model: Model) -> Iterator[Any]:
    redis_server.command("FLUSHALL")
    gateway = start_gateway(redis_server, INFERENCE_URL=model.url)
    yield gateway
    gateway.stop()


def ask(gateway: Any, question: str, **headers: str) -> httpx2.Response:
    body, headers = {"question": question}, {**gateway.authorization, **headers}
    response: httpx2.Response = gateway.client.post("/api/v1/answer", json=body, headers=headers)
    return response


def test_the_second_who_asks_costs_no_inference_and_no_cache_does(cached: Any, model: Model) -> None:
    for question in ("What is the capital of France?", "what is the capital of france"):
        assert ask(cached, question).json() == {"answer": "Paris."}
    assert model.predictions == 1
    ask(cached, "What is the capital of France?", **{"Cache-Control": "no-cache"})
    assert model.predictions == 2


async def test_fifty_who_ask_at_once_cost_one_inference(cached: Any, model: Model) -> None:
    async with httpx2.AsyncClient(verify=cached.context(), timeout=60, limits=httpx2.Limits(max_connections=50)) as client:
        body = {"question": "Why is the sky blue?"}
        calls = (client.post(f"{cached.url}/api/v1/answer", json=body, headers=cached.authorization) for _ in range(50))
        found = await asyncio.gather(*calls)
    assert {(response.status_code, response.json()["answer"]) for response in found} == {(200, "Paris.")}
    assert model.predictions == 1
