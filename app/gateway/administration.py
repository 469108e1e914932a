"""The routes by which an operator settles what was set aside: dead letters, and events of unknown outcome.

Nothing of what was said is shown, each look and each decision is in the audit log before it takes place, and whoever has a
tenant sees that tenant's events: any other is as one that never was.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.auth.principal import PRINCIPAL, Principal
from app.gateway.api import MAX_KEY_CHARACTERS, trace_body
from app.gateway.intake import QUEUE_SECONDS
from app.gateway.routes import DEAD_LETTERS
from app.gateway.schemas import ErrorResponse, TimelineEntry, answers
from app.http.errors import ApiError
from app.pipeline.queue import Position, Queue, QueueUnavailable, SetAside, State
from app.telemetry.audit.actions import EVENT_DISCARDED, EVENT_REPLAYED, EVENTS_READ
from app.telemetry.audit.operation import NOT_FOUND, UNKNOWN, Outcome, operation
from app.telemetry.audit.record import Audit, AuditUnavailable
from app.tenants.tenant import Tenants, may_see

MOST_LISTED: Final = 1000
PAGE: Final = 1000  # read from the queue at once
AUDIT_SECONDS: Final = 30.0  # a disk takes longer to mend than Redis
TWICE: Final = "its outcome was unknown: where the effect had happened, it now happens twice"
EVENT_EXAMPLE: Final = "slack:T024BE7LD:Ev06ABCDEF"
_POSITION = re.compile(r"(\d{1,15}):(.+)", re.DOTALL)

AsideState = Literal["dead", "unknown"]
Key = Annotated[str, Path(description="The event's key, percent-encoded.", examples=[EVENT_EXAMPLE])]


class DeadLetter(BaseModel):
    event: Annotated[str, Field(description="Its key: platform, team and the platform's own number.", examples=[EVENT_EXAMPLE])]
    state: Annotated[
        AsideState, Field(description="`dead`: given up. `unknown`: it may have had its effect; repeating could double it.")
    ]
    reason: Annotated[str, Field(examples=["the platform answered 404"])]
    attempts: Annotated[int, Field(description="since it was accepted or last replayed", examples=[5])]
    at: Annotated[str, Field(description="when it was set aside: ISO 8601, UTC", examples=["2026-12-01T08:00:00.120Z"])]


class DeadLetterList(BaseModel):
    dead_letters: Annotated[list[DeadLetter], Field(description="oldest first")]
    next: Annotated[str | None, Field(description="`after` of the next page; null where this is the last.")]


class DeadLetterTrace(DeadLetter):
    timeline: Annotated[list[TimelineEntry], Field(description="what happened to it, oldest first; no text")]


class Settled(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"event": EVENT_EXAMPLE, "was": "unknown", "state": "queued", "warning": TWICE}],
        }
    )

    event: str
    was: AsideState
    state: Literal["queued", "discarded"]
    warning: Annotated[str | None, Field(description="what a replay of an unknown outcome may do; else null")]


def administration_routes(queue: Queue, tenants: Callable[[], Tenants], audit: Audit) -> APIRouter:
    """``tenants``: those of now, since they are reloaded."""
    routes = APIRouter(tags=["administration"])

    def visible(principal: Principal, aside: SetAside) -> bool:
        return may_see(principal, aside.key, tenants())

    async def find(request: Request, key: str) -> SetAside:
        aside = await queue.show(key) if len(key) <= MAX_KEY_CHARACTERS and "\x00" not in key else None
        if aside is None or not visible(_principal(request), aside):
            raise ApiError(
                404, "unknown_event", f"no such event is set aside: GET {DEAD_LETTERS} lists those that are", param="key"
            )
        return aside

    async def record_look(request: Request, subject: str = "", **details: str | int) -> None:
        principal = _principal(request)
        await audit.record(
            EVENTS_READ, actor=principal.name, tenant=principal.tenant or "", subject=subject, outcome="done", **details
        )

    @asynccontextmanager
    async def recorded(request: Request, action: str, aside: SetAside) -> AsyncIterator[Outcome]:
        owner = tenants().of_event(aside.key)
        async with operation(
            audit,
            action,
            actor=_principal(request).name,
            tenant=owner.name if owner else "",
            subject=aside.key,
            state=aside.state.value,
            attempts=aside.attempts,
        ) as outcome:
            try:
                yield outcome
            except QueueUnavailable:
                outcome.word = UNKNOWN  # it may have taken effect; the event's timeline says so
                raise

    @routes.get(
        DEAD_LETTERS,
        summary="What waits for a person",
        description="Dead letters and events of unknown outcome, oldest first: those of the caller's tenant, or all for the "
        "stack's operator.",
        response_model=DeadLetterList,
        responses=_answers("What was set aside, at most `limit` of it.", 400),
    )
    async def list_dead_letters(
        request: Request,
        state: Annotated[AsideState | None, Query(description="these alone; both unless given")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED, description=f"1 to {MOST_LISTED}")] = 100,
        after: Annotated[str | None, Query(max_length=MAX_KEY_CHARACTERS + 16, description="`next` of the page before")] = None,
    ) -> JSONResponse:
        found: list[SetAside] = []
        position = _position(after)
        wanted = State(state) if state else None
        async with _told():
            while len(found) <= limit:  # one more than is shown says whether there is a next page
                page = await queue.set_aside(PAGE, state=wanted, after=position)
                found += [aside for aside in page if visible(_principal(request), aside)]
                if len(page) < PAGE:
                    break
                position = page[-1].position
            shown = found[:limit]
            await record_look(request, count=len(shown), **({"state": state} if state else {}))
        following = _cursor(shown[-1].position) if len(found) > limit else None
        return JSONResponse({"dead_letters": [_letter(aside) for aside in shown], "next": following})

    @routes.get(
        f"{DEAD_LETTERS}/{{key:path}}",
        summary="One of it, and what happened to it",
        description="Its timeline, oldest first. What was said is not shown.",
        response_model=DeadLetterTrace,
        responses=_answers("The event, with its timeline.", 404),
    )
    async def show_dead_letter(request: Request, key: Key) -> JSONResponse:
        async with _told():
            aside = await find(request, key)
            trace = await queue.trace(key)
            await record_look(request, key, state=aside.state.value)
        return JSONResponse(_letter(aside) | {"timeline": trace_body(trace)["timeline"] if trace else []})

    @routes.post(
        f"{DEAD_LETTERS}/{{key:path}}/replay",
        summary="Queue an event again",
        description="With fresh attempts, at the end of its conversation; steps already done stay done. An event of *unknown* "
        "outcome may take effect twice: look on the platform first.",
        response_model=Settled,
        responses=_answers("It is queued.", 404),
    )
    async def replay_dead_letter(request: Request, key: Key) -> JSONResponse:
        async with _told():
            aside = await find(request, key)
            async with recorded(request, EVENT_REPLAYED, aside) as outcome:
                if not await queue.replay(key):
                    outcome.word = NOT_FOUND
                    raise _settled_meanwhile()
        warning = TWICE if aside.state is State.UNKNOWN else None
        return JSONResponse({"event": key, "was": aside.state.value, "state": "queued", "warning": warning})

    @routes.delete(
        f"{DEAD_LETTERS}/{{key:path}}",
        summary="Forget an event",
        description="For good: what was said is deleted at once, and that the event was there after a day.",
        response_model=Settled,
        responses=_answers("It is forgotten.", 404),
    )
    async def discard_dead_letter(request: Request, key: Key) -> JSONResponse:
        async with _told():
            aside = await find(request, key)
            async with recorded(request, EVENT_DISCARDED, aside) as outcome:
                if not await queue.discard(key):
                    outcome.word = NOT_FOUND
                    raise _settled_meanwhile()
        return JSONResponse({"event": key, "was": aside.state.value, "state": "discarded", "warning": None})

    return routes


def _principal(request: Request) -> Principal:
    """Whom the edge has let in. Raises :class:`ApiError` where it has not been asked."""
    principal = getattr(request.state, PRINCIPAL, None)
    if not isinstance(principal, Principal):
        raise ApiError(403, "permission_denied", "nobody has been let in here by a key or a token")
    return principal


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    try:
        yield
    except QueueUnavailable as error:
        message = f"nothing can be read or changed now: {error}"
        raise ApiError(503, "queue_unavailable", message, retry_after=QUEUE_SECONDS) from None
    except AuditUnavailable as error:
        message = f"nothing is shown or done without an audit record: {error}"
        raise ApiError(503, "audit_unavailable", message, retry_after=AUDIT_SECONDS) from None


def _settled_meanwhile() -> ApiError:
    return ApiError(404, "unknown_event", "it is not set aside any more: somebody was faster", param="key")


def _letter(aside: SetAside) -> dict[str, Any]:
    return {
        "event": aside.key,
        "state": aside.state.value,
        "reason": aside.reason,
        "attempts": aside.attempts,
        "at": aside.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _cursor(position: Position) -> str:
    return f"{round(position.at.timestamp() * 1000)}:{position.key}"


def _position(cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    match = _POSITION.fullmatch(cursor)
    try:
        if match is None:
            raise ValueError
        return Position(datetime.fromtimestamp(int(match[1]) / 1000, tz=UTC), match[2])
    except (ValueError, OverflowError, OSError):
        raise ApiError(400, "invalid_value", "after: take it as `next` of the page before has it", param="after") from None


def _answers(good: str, *refusals: int) -> dict[int | str, dict[str, Any]]:
    """Of every route here: it needs a permission, the queue and the audit log."""
    denied = {"model": ErrorResponse, "description": "None of the caller's roles, or not the credential, permits it."}
    found = answers(good, *refusals, 401, 503) | {403: denied}
    return dict(sorted(found.items(), key=lambda item: str(item[0])))
