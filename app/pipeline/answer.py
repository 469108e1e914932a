"""The client of the inference service's ``POST /predict``: used by the worker and by the gateway's answer route."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import httpx2
from pydantic import SecretStr

from app.http.outbound import Answer, CallFailed, post
from app.pipeline.prompt import prompt_for
from app.platforms.platform import GivenUp, Retryable

MODEL_DIGEST: Final = "X-Model-Digest"  # of an answer of the inference service: its manifest's digest
_DIGEST = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Answerer(Protocol):
    """Whoever answers questions: :class:`AnswerClient`, or :class:`app.pipeline.answer_cache.CachedAnswers` in front of it."""

    async def answer(
        self, question: str, context: str = "", *, tenant: str = "default", instructions: str = "", fresh: bool = False
    ) -> str:
        """``tenant``: whose question it is, and who alone may be told the answer again. ``instructions``: how that tenant wants
        its questions answered. ``fresh``: not what was answered before. Raises as :meth:`AnswerClient.ask` does."""


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What the model said. ``digest``: of the model that said it; None where the service tells none."""

    text: str = field(repr=False)
    digest: str | None


class InferenceUnavailable(Retryable):
    """Not the question's fault: connection refused, overload (429, 502, 503, 504), our key refused. ``counted`` is False."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason, retry_after, counted=False)


class InferenceFailed(Retryable):
    """Perhaps the question's fault: a time-out, a 500, an answer that is none. ``counted`` is True."""


class InferenceTimedOut(InferenceFailed):
    """No answer in time."""


class InferenceRefused(GivenUp):
    """The service will never answer this request (another 4xx)."""


class QuestionTooLong(GivenUp):
    """The prompt does not fit the model's context."""


class AnswerClient:
    """Asks the model, each time. ``client`` is shared and closed by its owner; ``timeout_seconds`` bounds the whole call."""

    def __init__(self, client: httpx2.AsyncClient, url: str, api_key: SecretStr, timeout_seconds: float) -> None:
        self._client = client
        self._url = url.rstrip("/") + "/predict"
        self._api_key = api_key
        self._timeout_seconds = timeout_seconds

    async def answer(
        self, question: str, context: str = "", *, tenant: str = "default", instructions: str = "", fresh: bool = False
    ) -> str:
        """As :class:`Answerer`; every answer is fresh, and the model knows no tenants."""
        return (await self.ask(question, context, instructions)).text

    async def ask(self, question: str, context: str = "", instructions: str = "") -> ModelAnswer:
        """What the model says. Raises :class:`InferenceUnavailable`, :class:`InferenceFailed`, :class:`InferenceRefused` or
        :class:`QuestionTooLong`; no message of theirs holds the question."""
        headers = {"Authorization": f"Bearer {self._api_key.get_secret_value()}", "Content-Type": "application/json"}
        body = json.dumps({"prompt": prompt_for(question, context, instructions)}, ensure_ascii=False).encode()
        try:
            answer = await post(self._client, self._url, body, headers, self._timeout_seconds)
        except CallFailed as error:
            reason = f"inference: {error}"
            if error.timed_out:
                raise InferenceTimedOut(reason) from None
            raise (InferenceFailed(reason) if error.sent else InferenceUnavailable(reason)) from None
        if 200 <= answer.status < 300:
            return ModelAnswer(prediction(answer), digest_in(answer.headers.get(MODEL_DIGEST)))
        raise refusal(answer)


def digest_in(value: object) -> str | None:
    """``value``, where it can be a digest: it becomes part of keys and is compared, never interpreted."""
    return value if isinstance(value, str) and _DIGEST.fullmatch(value) else None


def prediction(answer: Answer) -> str:
    """Raises :class:`InferenceFailed` where the body is not ``{"prediction": text}``."""
    values = _object(answer.body)
    found = values.get("prediction")
    if not isinstance(found, str):
        raise InferenceFailed('inference answered without a "prediction"')
    return found.strip()


def refusal(answer: Answer) -> Retryable | GivenUp:
    """What a status other than 2xx means."""
    status, code = answer.status, _code(answer)
    reason = f"inference answered {status}" + (f" {code}" if code else "")
    if code == "context_length_exceeded" or status == 413:
        return QuestionTooLong(reason)
    if status in (429, 502, 503, 504):
        return InferenceUnavailable(reason, answer.retry_after)
    if status in (401, 403):
        return InferenceUnavailable(f"{reason}: INFERENCE_API_KEY is not a key that it accepts")
    if status >= 500 or status == 408:
        return InferenceFailed(reason)
    return InferenceRefused(reason)


def _code(answer: Answer) -> str:
    """The error's code in the OpenAI form, where there is one; only a plain word is repeated in our messages."""
    error = _object(answer.body).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    plain = isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum() and len(code) <= 64
    return str(code) if plain else ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
