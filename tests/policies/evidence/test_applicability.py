"""What the table of applicability must hold, whoever edits it."""

from __future__ import annotations

from typing import Any

import pytest
from evidence.recorded import assembled

from policies.controls import CONTROLS, Theme
from policies.evidence import applicability
from policies.evidence.__main__ import CHECKOUT
from policies.evidence.applicability import ApplicabilityMistake, Entry
from policies.pack import ALL_RULES

ENTRIES = applicability.read()


def test_there_is_one_entry_a_control_in_the_order_of_the_standard() -> None:
    assert [entry.control.number for entry in ENTRIES] == list(CONTROLS)


def test_every_entry_gives_a_reason_of_its_own() -> None:
    reasons = [entry.reason for entry in ENTRIES]

    assert all(reason.endswith(".") and len(reason.split()) >= 8 for reason in reasons)
    assert len(set(reasons)) == len(reasons)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.control.number)
def test_what_applies_is_met_somehow_and_what_does_not_is_served_by_no_rule(entry: Entry) -> None:
    served = any(entry.control.number in rule.controls for rule in ALL_RULES)

    assert bool(served or entry.manual or entry.inherited) is entry.applicable


def test_what_people_do_is_said_of_every_process_control_whatever_the_rules_read() -> None:
    by_hand = [entry for entry in ENTRIES if entry.control.theme in (Theme.ORGANISATIONAL, Theme.PEOPLE)]

    assert all(entry.manual for entry in by_hand)


def test_a_rule_is_never_all_that_is_done_for_a_process_or_a_place() -> None:
    served = {number for rule in ALL_RULES for number in rule.controls}
    alone = {entry.control.number for entry in ENTRIES if not (entry.manual or entry.inherited)}

    assert {CONTROLS[number].theme for number in served & alone} <= {Theme.TECHNOLOGICAL}


def test_no_rule_claims_a_control_of_people() -> None:
    assert not [rule.id for rule in ALL_RULES for number in rule.controls if CONTROLS[number].theme is Theme.PEOPLE]


def test_what_an_entry_points_at_is_there() -> None:
    files = set(assembled())

    missing = [
        place for entry in ENTRIES for place in entry.see if place not in files and not (CHECKOUT / place.rstrip("/")).exists()
    ]

    assert set(missing) <= {"docs/evidence.md"}


def entries(**changes: Any) -> list[dict[str, Any]]:
    """The smallest right document, its first entry changed."""
    document: list[dict[str, Any]] = [
        {"control": number, "applicable": True, "reason": "It concerns the stack.", "manual": "The team does it."}
        for number in CONTROLS
    ]
    document[0] |= changes
    return document


def test_the_smallest_right_document_is_read() -> None:
    assert len(applicability.parse(entries())) == len(CONTROLS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reason": " "}, "5.1: reason is a text"),
        ({"applicable": "yes"}, "5.1: applicable is yes or no"),
        ({"control": "5.99"}, "entry 1 names no control of Annex A"),
        ({"control": 5.1}, "entry 1 names no control of Annex A"),
        ({"control": "5.2"}, "5.1 is missing"),
        ({"control": "5.2"}, "5.2 stands there more than once"),
        ({"manual": ""}, "5.1: manual is missing; a scan never shows that people follow a process"),
        ({"maunal": "x"}, "5.1: 'maunal' is no key"),
        ({"see": "docs"}, "5.1: see is a list of files"),
    ],
)
def test_a_mistake_is_told_with_the_control_that_it_concerns(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ApplicabilityMistake) as told:
        applicability.parse(entries(**changes))

    assert said in str(told.value)
