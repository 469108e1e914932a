"""What is let in: decided before a request costs anything, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.http.errors import ApiError
from app.inference.sampling import MAX_TEMPERATURE

RETRY_SECONDS = 2.0  # about what an answer takes, after which a place is free
MIN_BODY = 256 * 1024  # bytes
BYTES_PER_TOKEN = 32  # of JSON; escaped Chinese (\\uXXXX) is the longest of common texts, at under 20


class PredictRequest(BaseModel):
    """The body of ``POST /predict``."""

    model_config = ConfigDict(strict=True, extra="forbid")

    prompt: Annotated[str, Field(min_length=1, description="becomes the user's message in the model's chat template")]
    max_tokens: Annotated[int | None, Field(ge=1, description="of the answer; as many as fit unless given")] = None
    temperature: Annotated[
        float | None, Field(ge=0, le=MAX_TEMPERATURE, description="0, the default, always takes the likeliest token")
    ] = None


class Prediction(BaseModel):
    """The answer of ``POST /predict``."""

    prediction: str


class Admission:
    """Counts requests from admission to answer; on the event loop's thread, where nothing comes between check and count."""

    def __init__(self, limit: int) -> None:
        self.limit, self.count = limit, 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one place. Raises :class:`ApiError` 503 when all are taken."""
        if self.count >= self.limit:
            message = f"the server is at its limit of {self.limit} requests: try again later"
            raise ApiError(503, "overloaded", message, retry_after=RETRY_SECONDS)
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


def body_limit(context: int) -> int:
    """Bytes of a body: whatever fits the context fits, and what is a little too long is told so, not just refused."""
    return max(MIN_BODY, BYTES_PER_TOKEN * context)


def answer_tokens(prompt: int, wanted: int | None, *, context: int, limit: int) -> int:
    """How many tokens the answer may have, when the prompt has ``prompt`` tokens and a sequence holds ``context``.

    Raises :class:`ApiError` 400 when prompt and answer do not fit, or more than ``limit`` tokens are asked for.
    """
    if wanted is not None and wanted > limit:
        raise ApiError(
            400, "invalid_value", f"max_tokens: {wanted} asked for; at most {limit} are allowed here", param="max_tokens"
        )
    if prompt + (wanted or 1) > context:
        asked = f" and {wanted} for the answer" if wanted else ""
        message = f"the context holds {context} tokens; the prompt takes {prompt}{asked}: shorten it"
        raise ApiError(400, "context_length_exceeded", message, param="prompt")
    return wanted or min(limit, context - prompt)
