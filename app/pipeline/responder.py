"""What is said to an event: whose it is, whether they may, and then the task, the model's answer or the help.

What the model says decides nothing here: tenant, quota and permission are settled before it is asked, and its words are only
ever sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from app.auth.principal import Principal, principal_of
from app.pipeline.answer import Answerer
from app.pipeline.event import Event
from app.pipeline.handlers.answer import handle_answer
from app.pipeline.handlers.help import handle_help
from app.pipeline.handlers.task import Effect, handle_task
from app.pipeline.pacing import Quotas
from app.pipeline.phrases import phrases_for
from app.pipeline.responses import Response
from app.pipeline.router import AnswerRoute, HelpRoute, TaskRoute, permission_of, route
from app.platforms.platform import Platform, Retryable
from app.telemetry.audit.actions import PERMISSION_DENIED, TASK_RUN
from app.telemetry.audit.notices import Notices
from app.telemetry.audit.record import Audit, AuditUnavailable
from app.tenants.access import Access
from app.tenants.tenant import Tenant


class Conversations(Protocol):
    """As :class:`app.pipeline.conversation.Conversations`."""

    async def recall(self, tenant: str, conversation_key: str, question: str = "") -> str: ...

    async def remember(self, tenant: str, conversation_key: str, event_key: str, question: str, answer: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at an event. ``note`` adds a line to its trace, ``effect`` runs an act with an effect under its key."""

    event: Event
    number: int
    platform: Platform
    note: Callable[[str, str], Awaitable[None]]
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """``remember``: what the conversation is to know later on, once the response is recorded; None: nothing."""

    response: Response
    remember: Callable[[], Awaitable[None]] | None = None


class Responder:
    """``denied`` hears of what somebody wanted and may not, by platform and permission."""

    def __init__(
        self,
        *,
        access: Callable[[], Access],
        answers: Answerer,
        conversations: Conversations,
        quotas: Quotas,
        audit: Audit,
        notices: Notices,
        denied: Callable[[str, str], None] = lambda _platform, _permission: None,
    ) -> None:
        self._access = access
        self._answers = answers
        self._conversations = conversations
        self._quotas = quotas
        self._audit, self._notices = audit, notices
        self._denied = denied

    async def respond(self, attempt: Attempt) -> Said:
        """Raises an outcome of :mod:`app.platforms.platform`, or what the queue raises."""
        event, access = attempt.event, self._access()
        phrases = phrases_for(event.text)
        tenant = access.tenants.of(event.platform, event.tenant)
        if tenant is None:
            await attempt.note("routed", "unknown team")
            self._notices.note(PERMISSION_DENIED, reason="unknown_team", platform=event.platform, team=event.tenant)
            return Said(response=Response(phrases.unknown_team))
        if not await self._within_quota(attempt, tenant):
            await attempt.note("routed", "over quota")
            return Said(response=Response(phrases.over_quota))
        chosen = route(event, tenant.library)
        await attempt.note("routed", str(chosen))
        permission = permission_of(chosen)
        principal = principal_of(event, tenant)
        if permission is not None and not access.roles.permits(principal, permission):
            self._refuse(event, principal, permission)
            return Said(response=Response(phrases.denied))
        match chosen:
            case TaskRoute():
                return Said(response=await self._carry_out(attempt, chosen, principal))
            case AnswerRoute():
                return await self._answer(event, chosen, tenant)
            case HelpRoute():
                return Said(response=handle_help(event))

    async def _within_quota(self, attempt: Attempt, tenant: Tenant) -> bool:
        limit = tenant.quota.messages_per_minute
        # An event counts once, however often it is tried.
        return limit is None or attempt.number > 1 or await self._quotas.allow(tenant.name, limit) is None

    async def _carry_out(self, attempt: Attempt, chosen: TaskRoute, principal: Principal) -> Response:
        """Audited before it is done, or not done at all."""
        action = chosen.match.template.action.name
        try:
            await self._audit.record(
                TASK_RUN,
                actor=principal.name,
                tenant=principal.tenant or "",
                subject=attempt.event.key,
                outcome="begun",
                task=action,
                attempts=attempt.number,
            )
        except AuditUnavailable as error:
            raise Retryable(f"the audit log takes nothing: {error}", counted=False) from None
        return await handle_task(chosen.match, attempt.event, attempt.platform, attempt.effect)

    async def _answer(self, event: Event, chosen: AnswerRoute, tenant: Tenant) -> Said:
        conversation = event.conversation_key
        context = await self._conversations.recall(tenant.name, conversation, chosen.question)
        answered = await handle_answer(chosen, event, self._answers, context=context, tenant=tenant)
        if answered.text is None:
            return Said(response=answered.response)
        text = answered.text
        return Said(
            response=answered.response,
            remember=lambda: self._conversations.remember(tenant.name, conversation, event.key, chosen.question, text),
        )

    def _refuse(self, event: Event, principal: Principal, permission: str) -> None:
        self._denied(event.platform, permission)
        self._notices.note(
            PERMISSION_DENIED,
            reason="no_role",
            platform=event.platform,
            actor=principal.name,
            tenant=principal.tenant or "",
            subject=event.key,
            each=principal.name,
            permission=permission,
        )
