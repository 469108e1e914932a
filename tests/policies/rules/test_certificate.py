"""Certificates of this machine and of ACM, at the borders."""

from __future__ import annotations

from typing import Any

import pytest

from policies.rule import Outcome
from policies.rules.certificate import lifetime


@pytest.mark.parametrize(
    ("validity", "renewal", "outcome"),
    [
        (398, 30, Outcome.PASS),
        (397, 30, Outcome.PASS),
        (398.5, 30, Outcome.FAIL),
        (399, 30, Outcome.FAIL),
        (0, 0, Outcome.FAIL),
        (-1, -2, Outcome.FAIL),
        (0.5, 0.25, Outcome.PASS),
        (1, 0.5, Outcome.PASS),
        (90, 0, Outcome.FAIL),
        (90, 0.5, Outcome.PASS),
        (90, 1, Outcome.PASS),
        (90, 89, Outcome.PASS),
        (90, 90, Outcome.FAIL),
        (90, 91, Outcome.FAIL),
    ],
)
def test_a_certificate_is_short_and_renewed_before_it_ends(
    make: Any, validity: float, renewal: float, outcome: Outcome
) -> None:
    verdict = lifetime(make("certificate", {"validityDays": validity, "renewBeforeDays": renewal}))
    assert verdict.outcome is outcome


@pytest.mark.parametrize("name", ["validityDays", "renewBeforeDays"])
def test_both_numbers_are_required(make: Any, name: str) -> None:
    verdict = lifetime(make("certificate", {name: None}))
    assert verdict.reasons == ("validityDays and renewBeforeDays are required",)
