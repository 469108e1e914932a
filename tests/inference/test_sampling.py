from __future__ import annotations

import numpy as np
import pytest

from app.inference.sampling import sample

LOGITS = np.array([0.0, 1.0, 3.0, 2.0, -np.inf], dtype=np.float32)
RANDOM = np.random.default_rng(1)


def test_temperature_0_takes_the_likeliest() -> None:
    assert sample(LOGITS, 0.0, RANDOM) == 2


def test_of_equals_the_lowest_id_is_taken() -> None:
    assert sample(np.array([1, 5, 5], dtype=np.float32), 0.0, RANDOM) == 1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_the_softmax_says(temperature: float) -> None:
    drawn = np.bincount([sample(LOGITS, temperature, RANDOM) for _ in range(20_000)], minlength=5) / 20_000
    weights = np.exp(LOGITS.astype(np.float64) / temperature)
    assert np.allclose(drawn, weights / weights.sum(), atol=0.015)
    assert drawn[4] == 0


@pytest.mark.parametrize("temperature", [1e-320, 1e-30, 1e-5])
def test_a_tiny_temperature_is_greedy_not_an_overflow(temperature: float) -> None:
    assert {sample(LOGITS * np.float32(1e30), temperature, RANDOM) for _ in range(20)} == {2}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_an_error(bad: float) -> None:
    logits = LOGITS.copy()
    logits[1] = bad
    for temperature in (0.0, 1.0):
        with pytest.raises(ValueError, match="not finite"):
            sample(logits, temperature, RANDOM)


def test_all_impossible_is_an_error() -> None:
    with pytest.raises(ValueError, match="not finite"):
        sample(np.full(4, -np.inf, dtype=np.float32), 0.0, RANDOM)
