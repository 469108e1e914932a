"""Roles: what the file may say, who is permitted what, and every mistake at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.auth.roles import Roles, RolesError, load_roles, permissions
from app.pipeline.event import Event
from app.tasks.actions import registry

ACTIONS = ("calendar.create",)
GOOD = """
- role: user
  members: [everybody]
  permissions: [ask]
- role: operator
  members: ["generic:acme:alice", "generic:acme:bob:b"]
  permissions: ["*"]
"""


def sender(name: str, tenant: str = "acme") -> Event:
    return Event(
        id="1",
        platform="generic",
        tenant=tenant,
        conversation="c",
        sender=name,
        text="x",
        received_at=datetime(2026, 11, 25, tzinfo=UTC),
    )


def load(folder: Path, text: str) -> Roles:
    file = folder / "roles.yaml"
    file.write_text(text, encoding="utf-8")
    return load_roles(file, ACTIONS)


def test_the_file_of_the_package_lets_everybody_ask_and_make_an_appointment_and_nobody_do_more() -> None:
    roles = load_roles(None, registry())
    assert [name for name in permissions(registry()) if roles.permits(sender("anybody"), name)] == [
        "ask",
        "run:calendar.create",
    ]
    assert not roles.permits(sender("anybody"), "administer")


def test_a_member_has_what_its_role_has_and_nobody_else_has_it(tmp_path: Path) -> None:
    roles = load(tmp_path, GOOD)
    assert roles.permits(sender("alice"), "administer")
    assert roles.permits(sender("bob:b"), "run:calendar.create")
    for other in (sender("mallory"), sender("alice", tenant="other"), sender("bob"), sender("")):
        assert roles.permits(other, "ask")
        assert not roles.permits(other, "run:calendar.create")


def test_without_roles_nobody_may_do_anything(tmp_path: Path) -> None:
    assert not load(tmp_path, "[]").permits(sender("alice"), "ask")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("[ask]", "[asks]"), 'unknown permission "asks"; did you mean "ask"?'),
        (GOOD.replace("[ask]", "[run:calendar.delete]"), "allowed: ask, administer, run:calendar.create, *"),
        (GOOD.replace("[ask]", "ask"), "permissions: a list of texts is expected"),
        (GOOD.replace("[ask]", "[]"), "with one at least"),
        (GOOD.replace("[everybody]", "[all]"), '"all" is neither everybody nor platform:tenant:sender'),
        (GOOD.replace("generic:acme:alice", "generic::alice"), '"generic::alice" is neither'),
        (GOOD.replace("members: [everybody]", "member: [everybody]"), 'unknown field "member"; did you mean "members"?'),
        (GOOD.replace("role: operator", "role: user"), 'the name "user" is taken twice'),
        (GOOD.replace("role: user", "role: ''"), "role: a name is expected"),
        ("{}", "a list of roles is expected"),
        ("- a", "a mapping with role, members, permissions is expected"),
        ("- role: a\n  role: b\n", "stands twice"),
        ("[", "not valid YAML"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RolesError) as raised:
        load(tmp_path, text)
    assert words in str(raised.value)
    assert "roles.yaml" in str(raised.value)


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(RolesError) as raised:
        load(tmp_path, GOOD.replace("[ask]", "[asks]").replace("generic:acme:alice", "alice"))
    assert len(str(raised.value).splitlines()) == 2


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RolesError, match="cannot be read"):
        load_roles(tmp_path / "nowhere.yaml", ACTIONS)
