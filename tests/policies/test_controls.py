"""Annex A of ISO/IEC 27001:2022, as rules and the Statement of Applicability name it."""

from __future__ import annotations

from collections import Counter

import pytest

from policies.controls import CONTROLS, Control, Theme


def test_there_are_93_controls_in_four_themes() -> None:
    assert len(CONTROLS) == 93
    assert Counter(control.theme for control in CONTROLS.values()) == {
        Theme.ORGANISATIONAL: 37,
        Theme.PEOPLE: 8,
        Theme.PHYSICAL: 14,
        Theme.TECHNOLOGICAL: 34,
    }


def test_they_stand_in_the_order_of_the_standard_under_their_own_numbers() -> None:
    numbers = list(CONTROLS)

    assert numbers == sorted(numbers, key=lambda number: [int(part) for part in number.split(".")])
    assert all(number == control.number for number, control in CONTROLS.items())
    assert all(number.startswith(f"{control.theme.value}.") for number, control in CONTROLS.items())


def test_every_control_has_a_title_of_its_own() -> None:
    titles = [control.title for control in CONTROLS.values()]

    assert len(set(titles)) == len(titles)
    assert all(title == title.strip() and title[0].isupper() for title in titles)


# The last control of each theme fixes the positions before it; the others are those that the rules name most.
@pytest.mark.parametrize(
    ("number", "title"),
    [
        ("5.9", "Inventory of information and other associated assets"),
        ("5.17", "Authentication information"),
        ("5.23", "Information security for use of cloud services"),
        ("5.33", "Protection of records"),
        ("5.37", "Documented operating procedures"),
        ("6.8", "Information security event reporting"),
        ("7.4", "Physical security monitoring"),
        ("7.14", "Secure disposal or re-use of equipment"),
        ("8.9", "Configuration management"),
        ("8.13", "Information backup"),
        ("8.20", "Networks security"),
        ("8.24", "Use of cryptography"),
        ("8.28", "Secure coding"),
        ("8.32", "Change management"),
        ("8.34", "Protection of information systems during audit testing"),
    ],
)
def test_titles_are_those_of_the_standard(number: str, title: str) -> None:
    assert CONTROLS[number].title == title


def test_a_control_names_itself_as_auditors_cite_it() -> None:
    assert str(Control("8.24", "Use of cryptography", Theme.TECHNOLOGICAL)) == "A.8.24 Use of cryptography"


def test_nobody_changes_the_standard_by_accident() -> None:
    with pytest.raises(TypeError):
        CONTROLS["8.35"] = CONTROLS["8.34"]  # type: ignore[index]
