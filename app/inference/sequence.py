"""One request's tokens on their way through the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# stop: the model ended; length: max_tokens reached; cancelled: nobody waits any more; error: the runner failed on it.
FinishReason = Literal["stop", "length", "cancelled", "error"]


@dataclass(eq=False, kw_only=True)
class Sequence:
    """``prompt`` and ``generated`` are token ids; times are seconds on the monotonic clock, None until they happen.

    Written by the engine's thread alone, except ``cancelled``, which any thread may set.
    """

    prompt: list[int]
    max_tokens: int
    end_ids: frozenset[int]
    temperature: float = 0.0
    generated: list[int] = field(default_factory=list)
    prefilled: int = 0  # prompt tokens that are in the KV cache
    cancelled: bool = False
    finish_reason: FinishReason | None = None
    arrived_at: float = 0.0
    started_at: float | None = None  # it got a slot
    first_token_at: float | None = None
    finished_at: float | None = None

    @property
    def cached(self) -> int:
        """Tokens in the KV cache: the newest generated one enters it with the next step."""
        return self.prefilled + max(0, len(self.generated) - 1)

    def append(self, token: int, now: float) -> None:
        """Take the next token; an end token ends the sequence and is no part of its text."""
        if self.first_token_at is None:
            self.first_token_at = now
        if token in self.end_ids:
            self.finish_reason = "stop"
            return
        self.generated.append(token)
        if len(self.generated) >= self.max_tokens:
            self.finish_reason = "length"
