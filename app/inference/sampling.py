"""From logits to the next token."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_TEMPERATURE = 2.0  # as the OpenAI API; above it text falls apart


def sample(logits: NDArray[np.float32], temperature: float, random: np.random.Generator) -> int:
    """A token id drawn from ``logits`` ``[vocab]``; temperature 0 takes the most likely (the lowest id of equals).

    Raises ValueError for logits that are no numbers, which would otherwise choose token 0 for ever.
    """
    best = int(np.argmax(logits))  # a NaN counts as the largest, so it is found here
    if not np.isfinite(logits[best]):
        raise ValueError("the model's logits are not finite")
    if temperature <= 0:
        return best
    # The largest is subtracted first: every exponent is <= 0, and no temperature, however small, can overflow it.
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp((logits.astype(np.float64) - float(logits[best])) / temperature)
    cumulative = np.cumsum(weights)
    return int(np.searchsorted(cumulative, random.random() * cumulative[-1], side="right"))
