"""The client of the inference service's ``POST /predict``: used by the worker and by the gateway's answer route."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2
from pydantic import SecretStr

from app.pipeline.prompt import prompt_for
from app.platforms.platform import GivenUp, Retryable

LONGEST_RETRY_AFTER_SECONDS = 3600.0


class InferenceUnavailable(Retryable):
    """Not the question's fault: connection refused, overload (429, 502, 503, 504), our key refused. ``counted`` is False."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason, retry_after, counted=False)


class InferenceFailed(Retryable):
    """Perhaps the question's fault: a time-out, a 500, an answer that is none. ``counted`` is True."""


class InferenceRefused(GivenUp):
    """The service will never answer this request (another 4xx)."""


class QuestionTooLong(GivenUp):
    """The prompt does not fit the model's context."""


class AnswerClient:
    """``http`` is shared and closed by its owner; ``timeout_seconds`` bounds the whole call."""

    def __init__(self, http: httpx2.AsyncClient, url: str, api_key: SecretStr, timeout_seconds: float) -> None:
        self._http = http
        self._url = url.rstrip("/") + "/predict"
        self._api_key = api_key
        self._timeout_seconds = timeout_seconds

    async def answer(self, question: str, context: str = "") -> str:
        """What the model says. Raises :class:`InferenceUnavailable`, :class:`InferenceFailed`, :class:`InferenceRefused` or
        :class:`QuestionTooLong`; no message of theirs holds the question."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._http.post(
                    self._url,
                    json={"prompt": prompt_for(question, context)},
                    headers={"Authorization": f"Bearer {self._api_key.get_secret_value()}"},
                    timeout=self._timeout_seconds,
                )
        except (TimeoutError, httpx2.ReadTimeout, httpx2.WriteTimeout):
            raise InferenceFailed(f"inference did not answer within {self._timeout_seconds:g} s") from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise InferenceUnavailable(f"inference is not reachable ({type(error).__name__})") from None
        except httpx2.TransportError as error:
            raise InferenceFailed(f"the connection to inference broke ({type(error).__name__})") from None
        if response.is_success:
            return prediction(response)
        raise refusal(response)


def prediction(response: httpx2.Response) -> str:
    try:
        found = response.json()["prediction"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        found = None
    if not isinstance(found, str):
        raise InferenceFailed('inference answered without a "prediction"')
    return found.strip()


def refusal(response: httpx2.Response) -> Exception:
    """What a status other than 2xx means."""
    status, code = response.status_code, _code(response)
    reason = f"inference answered {status}" + (f" {code}" if code else "")
    if code == "context_length_exceeded" or status == 413:
        return QuestionTooLong(reason)
    if status in (429, 502, 503, 504):
        return InferenceUnavailable(reason, retry_after_seconds(response.headers.get("retry-after")))
    if status in (401, 403):
        return InferenceUnavailable(f"{reason}: INFERENCE_API_KEY is not the key it accepts")
    if status >= 500 or status == 408:
        return InferenceFailed(reason)
    return InferenceRefused(reason)


def retry_after_seconds(value: str | None) -> float | None:
    """A ``Retry-After`` header (seconds or an HTTP date, RFC 9110 10.2.3) as seconds, an hour at most; None if absurd."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    if not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _code(response: httpx2.Response) -> str:
    """The error's code in the OpenAI form, where there is one; only a plain word is repeated in our messages."""
    try:
        code = response.json()["error"]["code"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return ""
    return code if isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum() and len(code) <= 64 else ""
