"""What the inference service measures.

Names, meanings and bucket boundaries are those of OpenTelemetry's model server metrics
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/#generative-ai-model-server-metrics).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Gauge, Histogram

from app.http.errors import ApiError
from app.inference.engine import Engine
from app.inference.sequence import Sequence
from app.telemetry.emf import Observe, ignore

REQUEST_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
OUTPUT_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)


class InferenceMetrics:
    """``first_token_seconds`` gets each value that the histogram of the same name counts."""

    def __init__(self, registry: CollectorRegistry, first_token_seconds: Observe = ignore) -> None:
        self._first_token_seconds = first_token_seconds
        self._registry = registry
        self._request = Histogram(
            "gen_ai_server_request_duration_seconds",
            "From a request's head to its answer; error_type is the code of a refusal or failure, empty for an answer.",
            ("error_type",),
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self._first_token = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From a prompt's entry into the queue to its first token, for answers.",
            buckets=FIRST_TOKEN_SECONDS,
            registry=registry,
        )
        self._output_token = Histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "Time per token after the first, a mean over each answer.",
            buckets=OUTPUT_TOKEN_SECONDS,
            registry=registry,
        )

    def follow(self, engine: Callable[[], Engine | None], slots: int) -> None:
        """Show what the engine does whenever somebody looks; there is none while the model loads."""

        def gauge(name: str, text: str, value: Callable[[], float]) -> None:
            Gauge(name, text, registry=self._registry).set_function(value)

        gauge(
            "assistant_inference_queue_length",
            "Sequences that wait for a slot.",
            lambda: found.waiting if (found := engine()) else 0,
        )
        gauge(
            "assistant_inference_running_sequences",
            "Sequences that hold a slot.",
            lambda: found.running if (found := engine()) else 0,
        )
        gauge("assistant_inference_slots", "Sequences that can run at once.", lambda: slots)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Measure one request, whatever becomes of it."""
        begin, error_type = time.monotonic(), "internal_error"
        try:
            yield
            error_type = ""
        except ApiError as refusal:
            error_type = refusal.code
            raise
        finally:
            self._request.labels(error_type).observe(time.monotonic() - begin)

    def answered(self, sequence: Sequence) -> None:
        """``sequence`` is finished. One that failed or was cancelled says nothing about the model's pace."""
        first, end = sequence.first_token_at, sequence.finished_at
        if sequence.finish_reason not in ("stop", "length") or first is None or end is None:
            return
        self._first_token.observe(first - sequence.arrived_at)
        self._first_token_seconds(first - sequence.arrived_at)
        # An end token is computed like any other, though it is no part of the text.
        after_first = len(sequence.generated) - (sequence.finish_reason == "length")
        if after_first:
            self._output_token.observe((end - first) / after_first)
