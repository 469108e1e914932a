"""The metrics that each process writes to CloudWatch where ``EMF_NAMESPACE`` is set: names, units, and what each is made from.

Data alone, so that what raises alarms (``infra/aws``) can follow an alarm to its emitter. ``sample`` names the Prometheus
sample of docs/metrics.md, ``where`` the labels that count, as regular expressions that match as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DIMENSION = "Service"
SERVICES = ("gateway", "worker", "inference")
INTERVAL_SECONDS = 60.0

# counter: the increase since the last document; gauge: the value now; observations: each one since the last document.
Kind = Literal["counter", "gauge", "observations"]
Unit = Literal["Count", "Seconds", "None"]  # three of CloudWatch's (MetricDatum.Unit)


@dataclass(frozen=True, kw_only=True)
class EmfMetric:
    """``sample``: of the process's Prometheus registry; for ``observations`` the histogram that counts the same values."""

    name: str
    unit: Unit
    kind: Kind
    services: tuple[str, ...]
    sample: str
    where: Mapping[str, str] = field(default_factory=dict)


# A probe says 503 while a process starts, drains or has no Redis: that is an answer, not an error. The paths are written out,
# because app.http.health brings a web framework along; a test compares the two.
PROBES = ("/healthz", "/health", "/v2/health/live", "/readyz", "/v2/health/ready")
QUEUE = ("gateway", "worker")  # both tell of the one queue: take the maximum over them, not the sum
METRICS = (
    EmfMetric(
        name="MessagesDone",
        unit="Count",
        kind="counter",
        services=("worker",),
        sample="assistant_messages_total",
        where={"outcome": "done"},
    ),
    EmfMetric(
        name="MessagesFailed",
        unit="Count",
        kind="counter",
        services=("worker",),
        sample="assistant_messages_total",
        where={"outcome": "dead|unknown"},
    ),
    EmfMetric(name="QueueUp", unit="None", kind="gauge", services=QUEUE, sample="assistant_queue_up"),
    EmfMetric(name="QueueBacklog", unit="Count", kind="gauge", services=QUEUE, sample="assistant_queue_backlog"),
    EmfMetric(name="QueueOldestSeconds", unit="Seconds", kind="gauge", services=QUEUE, sample="assistant_queue_oldest_seconds"),
    EmfMetric(name="DeadLetters", unit="Count", kind="gauge", services=QUEUE, sample="assistant_queue_dead"),
    EmfMetric(name="UnknownOutcomes", unit="Count", kind="gauge", services=QUEUE, sample="assistant_queue_unknown"),
    EmfMetric(
        name="ApiSeconds",
        unit="Seconds",
        kind="observations",
        services=("gateway",),
        sample="assistant_http_request_duration_seconds",
    ),
    EmfMetric(
        name="HttpServerErrors",
        unit="Count",
        kind="counter",
        services=("gateway",),
        sample="assistant_http_request_duration_seconds_count",
        where={"status": "5..", "route": rf"(?!({'|'.join(PROBES)})$).*"},
    ),
    EmfMetric(
        name="TimeToFirstTokenSeconds",
        unit="Seconds",
        kind="observations",
        services=("inference",),
        sample="gen_ai_server_time_to_first_token_seconds",
    ),
    EmfMetric(
        name="InferenceQueueLength",
        unit="Count",
        kind="gauge",
        services=("inference",),
        sample="assistant_inference_queue_length",
    ),
    EmfMetric(
        name="InferenceRunning",
        unit="Count",
        kind="gauge",
        services=("inference",),
        sample="assistant_inference_running_sequences",
    ),
)


def metrics_of(service: str) -> tuple[EmfMetric, ...]:
    return tuple(metric for metric in METRICS if service in metric.services)
