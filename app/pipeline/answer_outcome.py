"""How asking the model ended, in the form in which it is told to those who waited for it in other processes."""

from __future__ import annotations

import json
from typing import Any

from app.pipeline.answer import InferenceFailed, InferenceRefused, InferenceTimedOut, InferenceUnavailable, QuestionTooLong
from app.platforms.platform import GivenUp, Retryable

KINDS: dict[str, type[Retryable] | type[GivenUp]] = {
    kind.__name__: kind
    for kind in (InferenceUnavailable, InferenceFailed, InferenceTimedOut, InferenceRefused, QuestionTooLong)
}


def answered(text: str) -> str:
    return json.dumps({"text": text})


def failed(error: Retryable | GivenUp) -> str:
    """``error``'s message holds no text of a question (see :class:`app.pipeline.answer.AnswerClient`)."""
    retry_after = error.retry_after if isinstance(error, Retryable) else None
    return json.dumps({"failure": type(error).__name__, "reason": str(error), "retry_after": retry_after})


def text_of(outcome: str) -> str:
    """The answer, or the failure raised once more. What a newer version calls otherwise counts as :class:`InferenceFailed`."""
    values: dict[str, Any] = json.loads(outcome)
    if "text" in values:
        return str(values["text"])
    kind, reason = KINDS.get(values["failure"], InferenceFailed), values["reason"]
    raise kind(reason, values["retry_after"]) if issubclass(kind, Retryable) else kind(reason)
