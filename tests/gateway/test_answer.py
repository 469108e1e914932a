"""``POST /api/v1/answer``: what reaches the inference service, and what its failures become."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import httpx2
import pytest
from generic.faulty_server import Answer, Fault


def ask(gateway: Any, question: str, **more: Any) -> httpx2.Response:
    body = {"question": question, **more}
    response: httpx2.Response = gateway.client.post("/api/v1/answer", json=body, headers=gateway.authorization)
    return response


def test_a_question_is_answered(gateway: Any, inference: Any) -> None:
    response = ask(gateway, "What is the capital of France?")
    assert (response.status_code, response.json()) == (200, {"answer": "Paris."})
    assert inference.authorizations[-1] == "Bearer inference-canary-key"


def test_the_prompt_of_a_chinese_question_is_the_agreed_one_byte_for_byte(gateway: Any, inference: Any) -> None:
    ask(gateway, "法国的首都是哪里？", context="欧洲")
    assert json.loads(inference.bodies[-1])["prompt"].encode() == "问题: 法国的首都是哪里？\n上下文: 欧洲\n回答:".encode()
    assert "法国的首都是哪里？".encode() in inference.bodies[-1]


def test_other_questions_have_their_own_prompt(gateway: Any, inference: Any) -> None:
    ask(gateway, "Why?")
    assert json.loads(inference.bodies[-1])["prompt"] == "Question: Why?\nContext: \nAnswer:"


@pytest.mark.parametrize(
    ("answer", "status", "code", "retry_after"),
    [
        (Answer(503, {}, {"Retry-After": "7"}), 503, "inference_unavailable", "7"),
        (Answer(429, {}, {"Retry-After": "0"}), 503, "inference_unavailable", "1"),
        (Answer(503, {}), 503, "inference_unavailable", "5"),
        (Answer(401, {}), 503, "inference_unavailable", "5"),
        (Answer(500, {}), 502, "inference_failed", "5"),
        (Answer(200, {"other": 1}), 502, "inference_failed", "5"),
        (Answer(200, {"prediction": 5}), 502, "inference_failed", "5"),
        (Answer(418, {}), 502, "inference_failed", "5"),
        (Answer(307, {}, {"Location": "http://127.0.0.1:9/"}), 502, "inference_failed", "5"),
        (Answer(400, {"error": {"code": "context_length_exceeded"}}), 400, "context_length_exceeded", None),
    ],
)
def test_a_failure_upstream_has_a_status_and_a_body_of_its_own(
    gateway: Any, inference: Any, answer: Answer, status: int, code: str, retry_after: str | None
) -> None:
    inference.answer = answer
    response = ask(gateway, "question-canary")
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers.get("retry-after") == retry_after
    assert "canary" not in response.text


def test_a_connection_that_breaks_is_502(gateway: Any, inference: Any) -> None:
    inference.faults.append(Fault("/predict", "reset"))
    assert ask(gateway, "x").status_code == 502


def test_an_inference_service_that_is_away_or_slow_is_503_or_504(start_gateway: Any, redis_server: Any, inference: Any) -> None:
    away = start_gateway(redis_server, INFERENCE_URL="http://127.0.0.1:9")
    assert ask(away, "x").status_code == 503
    ready = away.client.get("/readyz")
    assert (ready.status_code, ready.json()["inference"]) == (200, "unreachable"), "events can still be taken"
    away.stop()
    slow = start_gateway(redis_server, INFERENCE_TIMEOUT_SECONDS="0.3")
    inference.faults.append(Fault("/predict", "slow", seconds=1.0, after_effect=True))
    response = ask(slow, "x")
    assert (response.status_code, response.json()["error"]["code"]) == (504, "inference_timeout")
    slow.stop()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "question"),
        ({"question": ""}, "question"),
        ({"question": " \n\t"}, "question"),
        ({"question": 5}, "question"),
        ({"question": None}, "question"),
        ({"question": "x" * 16_385}, "question"),
        ({"question": "x", "context": 5}, "context"),
        ({"question": "x", "context": "x" * 262_145}, "context"),
        ({"question": "x", "max_tokens": 10**9}, "max_tokens"),
    ],
)
def test_a_field_that_is_wrong_is_named(gateway: Any, inference: Any, body: dict[str, Any], param: str) -> None:
    response = gateway.client.post("/api/v1/answer", json=body, headers=gateway.authorization)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert not inference.bodies


async def test_a_caller_who_hangs_up_frees_the_model_within_a_second(start_gateway: Any, redis_server: Any) -> None:
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line.startswith(b"POST"):
            asked.set()
            with contextlib.suppress(ConnectionError):
                await reader.read()  # until the gateway closes the connection
            hung_up.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as upstream:
        port = upstream.sockets[0].getsockname()[1]
        gateway = await asyncio.to_thread(start_gateway, redis_server, INFERENCE_URL=f"http://127.0.0.1:{port}")
        async with httpx2.AsyncClient(verify=gateway.context()) as client:
            call = asyncio.create_task(
                client.post(f"{gateway.url}/api/v1/answer", json={"question": "x"}, headers=gateway.authorization)
            )
            await asyncio.wait_for(asked.wait(), 10)
            call.cancel()
            started = time.monotonic()
            await asyncio.wait_for(hung_up.wait(), 10)
            assert time.monotonic() - started < 1.0
        gateway.client.get("/healthz").raise_for_status()
        assert '"status": 500' not in gateway.log
        await asyncio.to_thread(gateway.stop)
