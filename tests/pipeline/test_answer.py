"""The inference service's answers, given by a real HTTP server, and what the client makes of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from app.pipeline.answer import (
    AnswerClient,
    InferenceFailed,
    InferenceRefused,
    InferenceTimedOut,
    InferenceUnavailable,
    QuestionTooLong,
)


@pytest.fixture
async def ask(http_server: Any) -> AsyncIterator[Callable[..., Any]]:
    async with httpx2.AsyncClient() as client:
        yield AnswerClient(client, http_server.url, SecretStr("canary-key"), timeout_seconds=0.5).answer


async def test_the_request_is_the_prompt_and_the_key_byte_for_byte(ask: Any, http_server: Any) -> None:
    http_server.answer("/predict", 200, {"prediction": " 巴黎。\n"})
    assert await ask("法国的首都是哪里？", "法国") == "巴黎。"
    request = http_server.requests[0]
    assert request.headers["authorization"] == "Bearer canary-key"
    assert json.loads(request.body) == {"prompt": "问题: 法国的首都是哪里？\n上下文: 法国\n回答:"}
    assert "问题: 法国的首都是哪里？".encode() in request.body


async def test_a_tenants_instructions_are_part_of_the_prompt(ask: Any, http_server: Any) -> None:
    http_server.answer("/predict", 200, {"prediction": "Yes."})
    await ask("Really?", tenant="acme", instructions="Be brief.")
    assert (
        json.loads(http_server.requests[0].body)["prompt"] == "Question: Really?\nInstructions: Be brief.\nContext: \nAnswer:"
    )


@pytest.mark.parametrize(
    ("sent", "digest"), [("a" * 64, "a" * 64), (None, None), ("", None), ("canary digest", None), ("a" * 129, None)]
)
async def test_an_answer_comes_with_the_digest_of_its_model(http_server: Any, sent: str | None, digest: str | None) -> None:
    headers = {} if sent is None else {"X-Model-Digest": sent}
    http_server.answer("/predict", 200, {"prediction": " Yes.\n"}, headers=headers)
    async with httpx2.AsyncClient() as client:
        answer = await AnswerClient(client, http_server.url, SecretStr("k"), 5).ask("Really?")
    assert (answer.text, answer.digest) == ("Yes.", digest)


ERROR = {"error": {"message": "canary-message", "type": "t", "code": None, "param": None}}


def coded(code: str) -> dict[str, Any]:
    return {"error": {**ERROR["error"], "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, coded("context_length_exceeded"), QuestionTooLong, "inference answered 400 context_length_exceeded"),
        (413, coded("body_too_large"), QuestionTooLong, "inference answered 413 body_too_large"),
        (400, coded("invalid_value"), InferenceRefused, "inference answered 400 invalid_value"),
        (404, "<html>", InferenceRefused, "inference answered 404"),
        (429, ERROR, InferenceUnavailable, "inference answered 429"),
        (503, ERROR, InferenceUnavailable, "inference answered 503"),
        (401, ERROR, InferenceUnavailable, "inference answered 401: INFERENCE_API_KEY is not a key that it accepts"),
        (500, ERROR, InferenceFailed, "inference answered 500"),
        (302, "", InferenceRefused, "inference answered 302"),
        (200, "not json", InferenceFailed, 'inference answered without a "prediction"'),
        (200, {"prediction": 1}, InferenceFailed, 'inference answered without a "prediction"'),
        (200, [], InferenceFailed, 'inference answered without a "prediction"'),
        (400, coded("canary\r\nX"), InferenceRefused, "inference answered 400"),
    ],
)
async def test_each_failure_has_its_type_and_says_nothing_secret(
    ask: Any, http_server: Any, status: int, body: Any, kind: type[Exception], message: str
) -> None:
    http_server.answer("/predict", status, body)
    with pytest.raises(kind) as caught:
        await ask("canary-question")
    assert type(caught.value) is kind
    assert str(caught.value) == message


async def test_retry_after_is_passed_on(ask: Any, http_server: Any) -> None:
    http_server.answer("/predict", 503, ERROR, headers={"Retry-After": "7"})
    with pytest.raises(InferenceUnavailable) as caught:
        await ask("q")
    assert caught.value.retry_after == 7
    assert caught.value.counted is False


async def test_a_slow_service_costs_the_time_out(ask: Any, http_server: Any) -> None:
    http_server.answer("/predict", 200, {"prediction": "late"}, delay=2)
    start = time.monotonic()
    with pytest.raises(InferenceTimedOut) as caught:
        await ask("q")
    assert time.monotonic() - start < 1
    assert caught.value.counted is True


async def test_a_service_that_is_not_there_is_unavailable(free_port: int) -> None:
    async with httpx2.AsyncClient() as client:
        with pytest.raises(InferenceUnavailable):
            await AnswerClient(client, f"http://127.0.0.1:{free_port}", SecretStr("k"), 1).answer("q")


async def test_a_caller_who_leaves_takes_the_request_along(ask: Any, http_server: Any) -> None:
    http_server.answer("/predict", 200, {"prediction": "late"}, delay=0.3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await ask("q")
