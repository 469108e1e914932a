"""The gate: how far a quantised model strays from its own FP32 form, on a text that comes with the program.

Both models read the same documents; at every position their distributions over the next token are compared. Means over all
positions: KL divergence D(FP32 || model) in nats, the share of positions with the same most likely token, and the perplexity of
both. One question with a right answer tells nothing of that: a damaged model still knows the capital of France.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from app.models.manifest import Architecture, Gate, Thresholds
from app.models.onnx_file import MODEL
from app.models.session import CHUNK, Session

DOCUMENT_MARK = "\n%%%\n"  # separates documents in evaluation.txt

Float = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Sums over ``tokens`` positions."""

    kl: float = 0.0
    same: int = 0
    loss_fp32: float = 0.0
    loss: float = 0.0
    tokens: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            kl=self.kl + other.kl,
            same=self.same + other.same,
            loss_fp32=self.loss_fp32 + other.loss_fp32,
            loss=self.loss + other.loss,
            tokens=self.tokens + other.tokens,
        )

    def gate(self, thresholds: Thresholds) -> Gate:
        return Gate(
            kl=round(max(0.0, self.kl / self.tokens), 6),
            top1=round(self.same / self.tokens, 6),
            perplexity_fp32=round(float(np.exp(self.loss_fp32 / self.tokens)), 4),
            perplexity=round(float(np.exp(self.loss / self.tokens)), 4),
            tokens=self.tokens,
            thresholds=thresholds,
        )


def documents(tokenizer: Tokenizer, limit: int, name: str = "evaluation.txt") -> list[list[int]]:
    """A bundled text as token ids, one list a document, none longer than ``limit``."""
    text = resources.files("app.models").joinpath(name).read_text(encoding="utf-8")
    return [
        tokenizer.encode(document.strip("\n"), add_special_tokens=False).ids[:limit] for document in text.split(DOCUMENT_MARK)
    ]


def evaluate(
    reference: Path, candidate: Path, architecture: Architecture, texts: list[list[int]], report: Callable[[float], None]
) -> Tally:
    """Compare two model directories of one architecture. ``report`` gets the share done, 0 to 1."""
    total, tally = sum(map(len, texts)), Tally()
    longest = max(map(len, texts))
    # FP32 is its own reference: one session then, and a comparison of each chunk with itself.
    sessions = [Session(directory / MODEL, architecture, longest) for directory in dict.fromkeys((reference, candidate))]
    for ids in texts:
        targets = np.asarray(ids[1:])
        for index, logits in enumerate(zip(*(session.logits(ids) for session in sessions), strict=True)):
            following = targets[index * CHUNK : (index + 1) * CHUNK]  # the last position of a text has no next token
            tally += compare(logits[0][: len(following)], logits[-1][: len(following)], following)
            report(tally.tokens / total)
    return tally


def compare(expected: Float, came: Float, targets: NDArray[np.int64]) -> Tally:
    """Logits ``[n, vocab]`` of both models and the tokens that really follow, ``[n]``."""
    if not len(targets):
        return Tally()
    log_p, log_q = log_softmax(expected), log_softmax(came)
    rows = np.arange(len(targets))
    return Tally(
        kl=float((np.exp(log_p) * (log_p - log_q)).sum(axis=1, dtype=np.float64).sum()),
        same=int((expected.argmax(axis=1) == came.argmax(axis=1)).sum()),
        loss_fp32=-float(log_p[rows, targets].sum(dtype=np.float64)),
        loss=-float(log_q[rows, targets].sum(dtype=np.float64)),
        tokens=len(targets),
    )


def log_softmax(logits: Float) -> Float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Float = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
