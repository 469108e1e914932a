"""The alarm catalogue: each alarm once, in no platform's language.

:mod:`infra.kubernetes.alarm_rules` says it in Prometheus' language, :mod:`infra.aws.alarm_metrics` in CloudWatch's. An alarm
fires when its measure has been beyond the threshold without a break for ``for_seconds``; ``docs/alarms.md`` says what to do
then.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    SERVER_ERRORS = "share of requests that are answered with a server error"
    REDIS_MEMORY = "memory of the queue's store, as a share of what its data may take"
    GPU_MEMORY = "memory of a GPU that is taken, as a share"
    GPU_ERRORS = "the number of the last error (XID) that a GPU reported, 0 where there was none"
    NODES_NOT_READY = "nodes that have joined and are not ready"


# Prometheus where the stack has rules for it; CloudWatch in front of EKS and of Fargate.
Platform = Literal["prometheus", "eks", "fargate"]
_NO_NODES = "Fargate shows no nodes and has no GPUs"
# What a platform cannot measure, and why: the alarm does not exist there.
NOT_MEASURED: Mapping[Platform, Mapping[Measure, str]] = {
    "prometheus": {},
    "eks": {
        Measure.GPU_ERRORS: (
            "Container Insights has no metric of XID errors; EKS' node monitoring agent sees them and marks the node, and node "
            "repair replaces it, which NodeNotReady shows. With the Prometheus operator the DCGM exporter's metric is used"
        ),
    },
    "fargate": {
        Measure.RESTARTS: "ECS replaces a task that ended and restarts none; PartNotReady shows a part that cannot stay up",
        Measure.GPU_MEMORY: _NO_NODES,
        Measure.GPU_ERRORS: _NO_NODES,
        Measure.NODES_NOT_READY: _NO_NODES,
    },
}


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
    Alarm(
        name="ServerErrors",
        measure=Measure.SERVER_ERRORS,
        threshold=0.05,
        for_seconds=300,
        severity="critical",
        summary="More than one request in twenty is answered with a server error",
    ),
    Alarm(
        name="RedisMemoryHigh",
        measure=Measure.REDIS_MEMORY,
        threshold=0.8,
        for_seconds=300,
        severity="warning",
        summary="The queue's store is nearly full; full, it takes no more messages",
    ),
    Alarm(
        name="GpuMemoryHigh",
        measure=Measure.GPU_MEMORY,
        threshold=0.95,
        for_seconds=300,
        severity="warning",
        summary="A GPU has less than 5 % of its memory left",
    ),
    Alarm(
        name="GpuErrors",
        measure=Measure.GPU_ERRORS,
        threshold=0,
        for_seconds=0,
        severity="warning",
        summary="A GPU reported an error",
    ),
    Alarm(
        name="NodeNotReady",
        measure=Measure.NODES_NOT_READY,
        threshold=0,
        for_seconds=600,  # a node that has just joined needs some minutes
        severity="warning",
        summary="A node has not been ready for 10 minutes",
    ),
)
