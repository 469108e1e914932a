"""The alarm catalogue: each alarm once, in no platform's language.

:mod:`infra.kubernetes.alarm_rules` says it in Prometheus' language. An alarm fires when its measure has been beyond the
threshold without a break for ``for_seconds``; ``docs/alarms.md`` says what to do then.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

RUNBOOK = "docs/alarms.md"
# What generates text takes as long as the text is, so it is judged by its first token (measured by inference) instead.
GENERATING_ROUTES = ("/api/v1/answer",)


class Measure(StrEnum):
    """What an alarm looks at. Shares are from 0 to 1, times in seconds."""

    CPU_UTILISATION = "CPU time of a container, as a share of its limit"
    API_LATENCY_P99 = "99th percentile of the time a gateway route takes, generating routes left out"
    TIME_TO_FIRST_TOKEN_P99 = "99th percentile of the time from a request to its first token"  # noqa: S105 (no secret)
    MESSAGE_SUCCESS = "share of finished events that were answered, rather than set aside as dead or unknown"
    BACKLOG_AGE = "age of the oldest event that is not finished"
    DEAD_LETTERS = "events given up"
    UNKNOWN_OUTCOMES = "events whose effect may or may not have happened"
    QUEUE_STORE_UNREACHABLE = "processes that run but cannot ask the queue's store"
    PARTS_NOT_READY = "parts that should have pods and have none ready"
    RESTARTS = "restarts of a container within a quarter of an hour"
    CERTIFICATE_LIFETIME = "time until the gateway's certificate expires"


@dataclass(frozen=True, kw_only=True)
class Alarm:
    name: str
    measure: Measure
    beyond: Literal["above", "below"] = "above"
    threshold: float
    for_seconds: int
    severity: Literal["critical", "warning"]  # critical: people are, or will soon be, without answers
    summary: str  # for people: what is wrong, not what was measured

    @property
    def runbook(self) -> str:
        """Where the remedy stands: a section of :data:`RUNBOOK` that is named as the alarm."""
        return f"{RUNBOOK}#{self.name.lower()}"


DAY = 24 * 3600

ALARMS: tuple[Alarm, ...] = (
    Alarm(
        name="CpuHigh",
        measure=Measure.CPU_UTILISATION,
        threshold=0.85,
        for_seconds=300,
        severity="warning",
        summary="A container has used more than 85 % of its CPU limit for 5 minutes",
    ),
    Alarm(
        name="ApiSlow",
        measure=Measure.API_LATENCY_P99,
        threshold=2,
        for_seconds=300,
        severity="warning",
        summary="One request in a hundred takes the gateway longer than 2 seconds",
    ),
    Alarm(
        name="FirstTokenSlow",
        measure=Measure.TIME_TO_FIRST_TOKEN_P99,
        threshold=5,
        for_seconds=300,
        severity="warning",
        summary="One answer in a hundred takes longer than 5 seconds to begin",
    ),
    Alarm(
        name="MessagesFailing",
        measure=Measure.MESSAGE_SUCCESS,
        beyond="below",
        threshold=0.95,
        for_seconds=300,
        severity="critical",
        summary="Fewer than 95 % of the messages are answered",
    ),
    Alarm(
        name="BacklogOld",
        measure=Measure.BACKLOG_AGE,
        threshold=300,
        for_seconds=60,
        severity="critical",
        summary="A message has waited longer than 5 minutes for its answer",
    ),
    Alarm(
        name="DeadLetters",
        measure=Measure.DEAD_LETTERS,
        threshold=0,
        for_seconds=0,
        severity="warning",
        summary="Messages were given up and wait for an operator",
    ),
    Alarm(
        name="OutcomesUnknown",
        measure=Measure.UNKNOWN_OUTCOMES,
        threshold=0,
        for_seconds=0,
        severity="warning",
        summary="It is not known whether some answers arrived; they wait for an operator",
    ),
    Alarm(
        name="QueueStoreDown",
        measure=Measure.QUEUE_STORE_UNREACHABLE,
        threshold=0,
        for_seconds=60,
        severity="critical",
        summary="Redis does not answer: no message is taken or worked on",
    ),
    Alarm(
        name="PartNotReady",
        measure=Measure.PARTS_NOT_READY,
        threshold=0,
        for_seconds=300,
        severity="critical",
        summary="Gateway, worker or inference has no pod that is ready",
    ),
    Alarm(
        name="CrashLooping",
        measure=Measure.RESTARTS,
        threshold=2,  # the longest pause between two restarts is five minutes
        for_seconds=0,
        severity="critical",
        summary="A container keeps ending and starting again",
    ),
    Alarm(
        name="CertificateExpiring",
        measure=Measure.CERTIFICATE_LIFETIME,
        beyond="below",
        threshold=14 * DAY,
        for_seconds=3600,
        severity="warning",
        summary="The gateway's certificate expires within 14 days",
    ),
)
