"""The real default model, as the service runs it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.model

PROMPTS = [
    "Question: What is the capital of France?\nContext: \nAnswer:",
    "问题: 法国的首都是哪里?\n上下文: \n回答:",
    "Write a short story about a fox and a river.",
    "List three fruits.",
    "Explain why the sky is blue, for a child, in a few sentences. " * 6,
    "What is 2+2?",
]


@pytest.mark.parametrize("prompt", ["What is the capital of France?", PROMPTS[0]], ids=["bare", "as the gateway asks"])
def test_it_knows_the_capital_of_france_and_stops_by_itself(model_service, prompt: str) -> None:
    response = model_service.predict(prompt)
    assert "Paris" in response.json()["prediction"]
    name = response.headers["X-Request-Id"]
    assert model_service.await_record(lambda record: record.get("request") == name)["finish_reason"] == "stop"


def test_greedy_answers_do_not_depend_on_who_else_asks(model_service) -> None:
    counts = [12, 40, 33, 25, 18, 9]
    alone = [model_service.text(prompt, max_tokens=count) for prompt, count in zip(PROMPTS, counts, strict=True)]
    with ThreadPoolExecutor(6) as pool:
        together = list(
            pool.map(lambda pair: model_service.text(pair[0], max_tokens=pair[1]), zip(PROMPTS, counts, strict=True))
        )
    assert together == alone
