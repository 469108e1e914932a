"""What a waiver must say, how long it may last, and what it excuses."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies import waivers
from policies.pack import ALL_RULES
from policies.waivers import Register, Waiver, parse, read

TODAY = datetime.date(2026, 11, 25)
BUCKET = "urn:pulumi:prod::assistant::aws:s3/bucket:Bucket::access-logs"
GOOD: dict[str, Any] = {
    "rule": "R47",
    "urn": "*aws:s3/bucket:Bucket::access-logs",
    "stacks": ["staging", "prod"],
    "owner": "platform-team",
    "reason": "the bucket that holds access logs cannot log to itself",
    "ticket": "OPS-123",
    "expires": datetime.date(2027, 4, 30),
}


def entry(**changes: Any) -> dict[str, Any]:
    return changed(changes)


def changed(changes: dict[Any, Any]) -> dict[Any, Any]:
    """``...`` removes a key."""
    return {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}


def mistakes(*entries: Any) -> tuple[str, ...]:
    return parse(list(entries), ["R47", "R48"], TODAY).mistakes


def test_a_waiver_as_it_should_be_is_read_whole() -> None:
    register = parse([GOOD], ["R47"], TODAY)
    assert register.mistakes == ()
    assert register.waivers == (
        Waiver(
            rule="R47",
            urn="*aws:s3/bucket:Bucket::access-logs",
            stacks=("staging", "prod"),
            owner="platform-team",
            reason="the bucket that holds access logs cannot log to itself",
            ticket="OPS-123",
            expires=datetime.date(2027, 4, 30),
        ),
    )
    assert str(register.waivers[0]) == "R47 on *aws:s3/bucket:Bucket::access-logs (OPS-123)"


@pytest.mark.parametrize("document", [None, []])
def test_no_waivers_are_no_mistake(document: Any) -> None:
    assert parse(document, ["R47"], TODAY) == Register()


@pytest.mark.parametrize("document", [{"rule": "R47"}, "R47", 7, False])
def test_anything_but_a_list_is_a_mistake(document: Any) -> None:
    assert parse(document, ["R47"], TODAY) == Register(mistakes=("waivers.yaml is a list of waivers",))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        *(({key: ...}, f"{key} is missing") for key in GOOD),
        *(({key: None}, f"{key} is missing") for key in GOOD),
        ({"owner": ""}, "owner is missing"),
        ({"stacks": []}, "stacks is missing"),
        ({"note": "x"}, "'note' is no key of a waiver; they are rule, urn, stacks"),
        ({7: "x"}, "'7' is no key of a waiver"),
        *(({key: [1]}, f"{key} is a text") for key in ("rule", "urn", "owner", "reason", "ticket")),
        ({"rule": "R99"}, "there is no rule 'R99'"),
        ({"urn": "*"}, "urn names every resource; say which"),
        ({"urn": "**??"}, "urn names every resource; say which"),
        ({"reason": "needed for now, sure"[:19]}, "reason has fewer than 20 characters"),
        ({"reason": " " * 30 + "needed"}, "reason has fewer than 20 characters"),
        ({"stacks": "prod"}, "stacks is a list of stacks' names"),
        ({"stacks": ["prod", 7]}, "stacks is a list of stacks' names"),
        ({"stacks": ["prod", ""]}, "stacks is a list of stacks' names"),
        ({"expires": "2027-04-30"}, "expires is a day, such as 2027-04-30"),
        ({"expires": datetime.datetime(2027, 4, 30, 12, 0)}, "expires is a day"),  # noqa: DTZ001 - as YAML reads it
        ({"expires": datetime.date(2026, 11, 24)}, "it has expired on 2026-11-24"),
        ({"expires": TODAY + datetime.timedelta(days=181)}, "expires is more than 180 days ahead (2027-05-24 at the latest)"),
    ],
)
def test_what_is_wrong_with_one_is_said_with_its_place(changes: dict[Any, Any], words: str) -> None:
    found = mistakes(GOOD, changed(changes))
    assert [mistake for mistake in found if mistake.startswith("waiver 2: ") and words in mistake], found


@pytest.mark.parametrize(
    "changes",
    [
        {"expires": TODAY},
        {"expires": TODAY + datetime.timedelta(days=180)},
        {"reason": "needed for a while !"},
        {"urn": "*a"},
        {"stacks": ["dev"]},
    ],
)
def test_what_is_just_allowed_is_allowed(changes: dict[str, Any]) -> None:
    assert mistakes(entry(**changes)) == ()


def test_all_that_is_wrong_with_one_is_said_at_once_and_the_others_stand() -> None:
    register = parse([entry(rule="R99", urn="*", stacks="prod", expires="soon"), "none", GOOD], ["R47"], TODAY)
    assert len(register.waivers) == 1
    assert [mistake.partition(": ")[0] for mistake in register.mistakes] == ["waiver 1"] * 4 + ["waiver 2"]
    assert "it is a mapping with rule, urn, stacks, owner, reason, ticket, expires" in register.mistakes[-1]


@pytest.mark.parametrize(
    ("stack", "rule", "urn", "found"),
    [
        ("prod", "R47", BUCKET, True),
        ("staging", "R47", BUCKET, True),
        ("dev", "R47", BUCKET, False),
        ("prod", "R48", BUCKET, False),
        ("prod", "R47", f"{BUCKET}-2", False),
        ("prod", "R47", "", False),
    ],
)
def test_it_excuses_one_rule_on_what_its_pattern_names_in_its_stacks(stack: str, rule: str, urn: str, found: bool) -> None:
    register = parse([GOOD], ["R47"], TODAY)
    assert (register.of(stack, rule, urn) is not None) is found


def test_a_pattern_is_a_shells_and_knows_upper_from_lower_case() -> None:
    register = parse([entry(urn="urn:*::bucket-[ab]?")], ["R47"], TODAY)
    assert register.of("prod", "R47", "urn:x::bucket-a1")
    assert not register.of("prod", "R47", "urn:x::bucket-c1")
    assert not register.of("prod", "R47", "urn:x::bucket-a12")
    assert not register.of("prod", "R47", "urn:x::BUCKET-a1")


def test_unused_ones_are_those_of_the_stack() -> None:
    register = parse([GOOD, entry(stacks=["dev"]), entry(ticket="OPS-124")], ["R47"], TODAY)
    first, _of_dev, third = register.waivers
    assert register.unused("prod", [first], [BUCKET]) == [third]
    assert register.unused("prod", [], [BUCKET]) == [first, third]
    assert register.unused("prod", [first, third], [BUCKET]) == []


def test_a_file_is_read_and_one_that_is_missing_has_no_waivers(tmp_path: Path) -> None:
    file = tmp_path / "waivers.yaml"
    assert read(["R47"], TODAY, file) == Register()
    file.write_text(
        "- rule: R47\n  urn: '*::access-logs'\n  stacks: [prod]\n  owner: platform\n  ticket: OPS-1\n  expires: 2027-01-31\n"
        "  reason: the bucket that holds access logs cannot log to itself\n"
    )
    (waiver,) = read(["R47"], TODAY, file).waivers
    assert waiver.expires == datetime.date(2027, 1, 31)


@pytest.mark.parametrize("content", [b"- a: [", b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_a_mistake_and_no_crash(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "waivers.yaml"
    file.write_bytes(content)
    (mistake,) = read(["R47"], TODAY, file).mistakes
    assert "waivers.yaml cannot be read" in mistake


def test_nor_is_a_folder_of_that_name(tmp_path: Path) -> None:
    (mistake,) = read(["R47"], TODAY, tmp_path).mistakes
    assert "cannot be read (IsADirectoryError)" in mistake


def test_the_registers_own_entries_are_well_formed() -> None:
    """Whether one has expired is the preview's to say, and not that of a test which would fail one day by itself."""
    document = yaml.safe_load(waivers.FILE.read_text(encoding="utf-8")) or []
    for number, own in enumerate(document):
        granted = own["expires"] - datetime.timedelta(days=1)
        assert parse([own], [rule.id for rule in ALL_RULES], granted).mistakes == (), number


def test_an_optional_one_is_unused_only_where_what_it_names_is_there() -> None:
    register = parse([entry(optional=True)], ["R47"], TODAY)
    (waiver,) = register.waivers
    assert register.unused("prod", [], []) == []
    assert register.unused("prod", [], [BUCKET]) == [waiver]
    assert register.unused("prod", [waiver], [BUCKET]) == []
    assert parse([GOOD], ["R47"], TODAY).unused("prod", [], []) != []


def test_whether_one_is_optional_is_true_or_false() -> None:
    assert parse([entry(optional="yes")], ["R47"], TODAY).mistakes == ("waiver 1: optional is true or false",)
    assert parse([entry(optional=False)], ["R47"], TODAY).mistakes == ()


def test_stacks_may_be_named_by_patterns() -> None:
    register = parse([entry(stacks=["*-prod", "staging"])], ["R47"], TODAY)
    assert [bool(register.of(stack, "R47", BUCKET)) for stack in ("acme-prod", "staging", "prod", "dev")] == [
        True,
        True,
        False,
        False,
    ]
