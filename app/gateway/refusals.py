"""Who was refused, told to the operator: a metric by the error's code, and a record in the audit log."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from app.gateway.callers import CallerRefused
from app.telemetry.audit.actions import PERMISSION_DENIED, SIGN_IN_REFUSED
from app.telemetry.audit.notices import Notices


class Refusals:
    """Called by :class:`app.gateway.edge.Edge`."""

    def __init__(self, registry: CollectorRegistry, notices: Notices) -> None:
        self._notices = notices
        self._counted = Counter(
            "assistant_refused",
            "Requests refused because of who sent them, by the error's code.",
            ("code",),
            registry=registry,
        )

    def __call__(self, refusal: CallerRefused, route: str) -> None:
        """``route``: the template. Codes are words of ours, as docs/api.md lists them, so the label is bounded."""
        self._counted.labels(refusal.code).inc()
        principal = refusal.principal
        self._notices.note(
            PERMISSION_DENIED if refusal.status == 403 else SIGN_IN_REFUSED,
            reason=refusal.code,
            actor=principal.name if principal else "",
            tenant=(principal.tenant or "") if principal else "",
            each=principal.name if principal else "",
            route=route,
        )
