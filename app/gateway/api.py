"""The routes that do the work. Who may call them is decided before, by :mod:`app.gateway.edge`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.auth.principal import PRINCIPAL, Principal
from app.gateway.callers import unknown_event
from app.gateway.intake import BUSY_SECONDS, queue_unavailable
from app.gateway.routes import ANSWER_BYTES, PLATFORMS
from app.gateway.schemas import AnswerRequest, AnswerResponse, EventResponse, TraceResponse, answers
from app.http.body import openapi, read_model
from app.http.errors import ApiError
from app.pipeline.answer import (
    Answerer,
    InferenceFailed,
    InferenceRefused,
    InferenceTimedOut,
    InferenceUnavailable,
    QuestionTooLong,
)
from app.pipeline.queue import Queue, QueueUnavailable, Trace
from app.platforms.generic import GenericMessage

MAX_KEY_CHARACTERS = 512
DEFAULT_TENANT = "default"


def router(queue: Queue, answerer: Answerer) -> APIRouter:
    routes = APIRouter()

    @routes.post(
        "/events",
        summary="Take an event of the generic platform",
        description="Signed as [Standard Webhooks](https://www.standardwebhooks.com). 200 means that the event is stored: it "
        "will be processed, whatever happens. The signed `webhook-id` is its identity: sent again, it is a duplicate.",
        response_model=EventResponse,
        responses=answers("Stored, or seen before, or of a type that needs no answer.", 400, 401, 404, 413, 415, 503),
        openapi_extra=openapi(GenericMessage),
        tags=["events"],
    )
    async def take_event() -> None:
        raise RuntimeError("described here, and answered by the edge: see app/gateway/intake.py")

    for name in PLATFORMS:
        routes.add_api_route(
            f"/events/{name}",
            take_event,
            methods=["POST"],
            name=f"take_event_of_{name}",
            summary=f"Take an event of {name.capitalize()}",
            description="Signed by the platform in its own way; its challenge is answered here too.",
            response_model=EventResponse,
            responses=answers("Stored, or seen before, or of a type that needs no answer.", 400, 401, 404, 413, 415, 503),
            tags=["events"],
        )

    @routes.get(
        "/api/v1/events/{key:path}",
        summary="What became of an event",
        description="`queued`, `leased` (at work) and `retrying` go on by themselves; `done` is the end; `dead` (given up) and "
        "`unknown` (it may have happened, and repeating could double it) wait for an operator.",
        response_model=TraceResponse,
        responses=answers("Its state and what happened so far.", 401, 403, 404, 503),
        tags=["events"],
    )
    async def trace_event(key: str) -> JSONResponse:
        try:
            trace = await queue.trace(key) if len(key) <= MAX_KEY_CHARACTERS and "\x00" not in key else None
        except QueueUnavailable as error:
            raise queue_unavailable(error) from None
        if trace is None:
            raise unknown_event()
        return JSONResponse(trace_body(trace))

    @routes.post(
        "/api/v1/answer",
        summary="Answer a question",
        description="Synchronous. A question that is longer than the model can read is refused with `context_length_exceeded`. "
        "A question that was answered before may get the same answer again; with `Cache-Control: no-cache` the model is asked.",
        response_model=AnswerResponse,
        responses=answers("The model's answer.", 400, 401, 403, 413, 415, 502, 503, 504),
        openapi_extra=openapi(AnswerRequest),
        tags=["answers"],
    )
    async def answer(request: Request) -> JSONResponse:
        asked = await read_model(request, AnswerRequest, ANSWER_BYTES)
        tenant, fresh = _tenant(request), _wants_fresh(request)
        try:
            text = await _unless_gone(request, answerer.answer(asked.question, asked.context, tenant=tenant, fresh=fresh))
        except QuestionTooLong:
            message = "question and context together are longer than the model can read: send less"
            raise ApiError(400, "context_length_exceeded", message, param="question") from None
        except InferenceUnavailable as error:
            retry = BUSY_SECONDS if error.retry_after is None else error.retry_after
            message = "the inference service is busy or away: send the question again"
            raise ApiError(503, "inference_unavailable", message, retry_after=retry) from None
        except InferenceTimedOut:
            message = "the inference service did not answer in time: ask for less, or again later"
            raise ApiError(504, "inference_timeout", message, retry_after=BUSY_SECONDS) from None
        except (InferenceFailed, InferenceRefused):
            message = "the inference service failed on this question; its log has the cause"
            raise ApiError(502, "inference_failed", message, retry_after=BUSY_SECONDS) from None
        return JSONResponse({"answer": text})

    return routes


def trace_body(trace: Trace) -> dict[str, Any]:
    timeline = [
        {"at": _utc(entry.at), "stage": entry.stage, **({"detail": entry.detail} if entry.detail else {})}
        for entry in trace.timeline
    ]
    return {"event": trace.event, "state": trace.state.value, "attempts": trace.attempts, "timeline": timeline}


def _tenant(request: Request) -> str:
    """Whose answers may be told again. Who has every tenant asks for none of them: as the tenant there is without any."""
    principal: Principal | None = getattr(request.state, PRINCIPAL, None)
    return (principal.tenant if principal else None) or DEFAULT_TENANT


def _wants_fresh(request: Request) -> bool:
    directives = ",".join(request.headers.getlist("cache-control")).split(",")
    return any(directive.strip().lower() == "no-cache" for directive in directives)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, str]) -> str:
    """``work``'s result; a caller who hangs up takes the work along, so that the model's slot is free at once."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ApiError(400, "client_disconnected", "the connection closed before the answer was ready")
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
