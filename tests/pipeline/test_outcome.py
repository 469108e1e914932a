from __future__ import annotations

import pytest

from app.pipeline.answer import InferenceUnavailable, QuestionTooLong
from app.pipeline.outcome import Acknowledge, DeadLetter, Decision, Drop, Park, Retry, backoff_seconds, decide
from app.pipeline.queue import LeaseLost, QueueUnavailable
from app.platforms.platform import GivenUp, OutcomeUnknown, Retryable


@pytest.mark.parametrize(
    ("error", "tried", "decision"),
    [
        (None, 0, Acknowledge()),
        (Retryable("500"), 0, Retry(1.0, "500", True)),
        (Retryable("429", retry_after=30), 0, Retry(30.0, "429", True)),
        (Retryable("429", retry_after=3600), 0, Retry(300.0, "429", True)),  # nobody holds a conversation up for an hour
        (Retryable("429", retry_after=0.1), 0, Retry(1.0, "429", True)),
        (InferenceUnavailable("503"), 0, Retry(1.0, "503", False)),
        (InferenceUnavailable("503"), 901, DeadLetter("given up 15 minutes after the first attempt: 503")),
        (Retryable("500"), 10_000, Retry(1.0, "500", True)),  # counted attempts end by their number
        (GivenUp("400"), 0, DeadLetter("400")),
        (QuestionTooLong("413"), 0, DeadLetter("413")),
        (OutcomeUnknown("no answer"), 0, Park("no answer")),
        (LeaseLost("lost"), 0, Drop("lost")),
        (QueueUnavailable("away"), 0, Drop("away")),
        (ValueError("canary: what somebody said"), 0, Retry(1.0, "fault: ValueError", True)),
    ],
)
def test_what_an_end_of_an_attempt_means(error: BaseException | None, tried: float, decision: Decision) -> None:
    assert decide(error, attempt=1, tried_seconds=tried, dice=0.0) == decision


def test_backoff_grows_to_a_bound_and_spreads() -> None:
    assert [backoff_seconds(attempt, 1.0) for attempt in (1, 2, 3, 4, 5, 1000)] == [2, 6, 18, 54, 60, 60]
    assert backoff_seconds(3, 0.0) == 9
