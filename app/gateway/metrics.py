"""What the gateway counts: how long each route takes, by the answer it gives."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, Histogram

from app.http.health import LIVE_PATHS, READY_PATHS
from app.telemetry.emf import Observe, ignore

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
GENERATING_ROUTES = frozenset({"/api/v1/answer"})  # as slow as their model: judged by its time to first token
_PROBES = frozenset({*LIVE_PATHS, *READY_PATHS})
# OpenTelemetry's boundaries of http.server.request.duration
# (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/), and three more: an answer may take a minute,
# and what an alarm compares with (infra/alarms.py) must be a boundary, or the percentile is a guess.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0)


class GatewayMetrics:
    """``api_seconds`` gets each time that says something about the API: of known routes without probes, which are many and
    quick and would hide the others in a percentile, and without those that generate."""

    def __init__(self, registry: CollectorRegistry, api_seconds: Observe = ignore) -> None:
        self._api_seconds = api_seconds
        self._duration = Histogram(
            "assistant_http_request_duration_seconds",
            "From the request's head to the end of the answer.",
            ("route", "method", "status"),
            buckets=SECONDS,
            registry=registry,
        )

        self._previous = Gauge(
            "assistant_previous_secret_used_timestamp_seconds",
            "When a request was last signed with a secret that is being replaced; it can go once this stands still.",
            ("platform",),
            registry=registry,
        )

    def previous_secret_used(self, platform: str) -> None:
        """``platform``: of those that are set up."""
        self._previous.labels(platform).set_to_current_time()

    def answered(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """``route``: the template in the route table; None for what is not in it."""
        method = method if method in METHODS else OTHER
        self._duration.labels(route or OTHER, method, str(status)).observe(seconds)
        if route is not None and route not in GENERATING_ROUTES and route not in _PROBES:
            self._api_seconds(seconds)
