"""What goes in and out of the gateway's API, and so what /docs shows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_QUESTION_CHARACTERS = 16_384  # more than any model's context that we name takes; the model's own limit is told by it
MAX_CONTEXT_CHARACTERS = 262_144


class AnswerRequest(BaseModel):
    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={"examples": [{"question": "What is the capital of France?", "context": ""}]},
    )

    question: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS, pattern=r"\S")]
    context: Annotated[str, Field(max_length=MAX_CONTEXT_CHARACTERS, description="What the answer may draw on.")] = ""


class AnswerResponse(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"answer": "The capital of France is Paris."}]})

    answer: str


class EventResponse(BaseModel):
    """``event``: under this key `GET /api/v1/events/{key}` tells what became of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "accepted", "event": "generic:default:msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"}]}
    )

    status: Literal["accepted", "duplicate", "ignored"]
    event: str


class TimelineEntry(BaseModel):
    at: Annotated[str, Field(description="ISO 8601, UTC", examples=["2026-12-01T08:00:00.120Z"])]
    stage: Annotated[str, Field(examples=["queued"])]
    detail: str | None = None


class TraceResponse(BaseModel):
    event: Annotated[str, Field(examples=["generic:default:msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"])]
    state: Literal["queued", "leased", "retrying", "done", "dead", "unknown"]
    attempts: Annotated[int, Field(examples=[1])]
    timeline: list[TimelineEntry]


class ErrorDetail(BaseModel):
    message: str
    type: str
    code: str
    param: str | None


class ErrorResponse(BaseModel):
    """The form of the OpenAI API's errors; ``code`` is stable and meant for programs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "message": "question: string should have at least 1 character",
                        "type": "invalid_request_error",
                        "code": "invalid_value",
                        "param": "question",
                    }
                }
            ]
        }
    )

    error: ErrorDetail


_REASONS = {
    400: "The body is malformed JSON, or a field is missing or wrong: `param` names it.",
    401: "The API key, the token or the signature is missing or wrong, or the time stamp is more than 300 s off.",
    403: "None of the caller's roles, or not the credential, permits it.",
    404: "There is no such event (finished ones are forgotten after a day), or the platform is not configured.",
    413: "The body is too large.",
    415: "The body is compressed.",
    502: "The inference service failed on this request.",
    503: "Not now: `Retry-After` says in how many seconds to try again.",
    504: "The inference service did not answer in time.",
}


def answers(good: str, *refusals: int) -> dict[int | str, dict[str, Any]]:
    """``responses`` of a route: what 200 means, and the statuses with which it may refuse."""
    found: dict[int | str, dict[str, Any]] = {200: {"description": good}}
    found |= {status: {"model": ErrorResponse, "description": _REASONS[status]} for status in refusals}
    if 503 in found:
        found[503]["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return found
