"""What is counted of the audit log."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from app.telemetry.audit.actions import ACTIONS


class AuditMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter("assistant_audit_records", "Audit records kept.", ["action"], registry=registry)
        self._failures = Counter("assistant_audit_failures", "Audit records that could not be kept.", registry=registry)
        self._unanchored = Gauge(
            "assistant_audit_unanchored", "Audit records since the last whose hash is known to Redis.", registry=registry
        )
        for action in ACTIONS:
            self._records.labels(action)

    def kept(self, action: str) -> None:
        self._records.labels(action).inc()

    def failed(self, count: int) -> None:
        self._failures.inc(count)

    def unanchored(self, count: int) -> None:
        self._unanchored.set(count)
