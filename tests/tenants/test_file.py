"""tenants.yaml: what it may say, what comes of it, and every mistake with its place."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.auth.api_keys import holder
from app.auth.permissions import permissions
from app.auth.principal import OPERATOR, Principal
from app.auth.secret_reference import SecretReference
from app.tenants.access import Access, AccessError, Sources
from app.tenants.checking import check
from app.tenants.libraries import libraries
from app.tenants.tenant import Tenant, Tenants, may_see

ACTIONS = ("calendar.create",)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "tenants.md"
KEY = "a-key-of-acme-0123456789"
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()
TEMPLATE = (
    "- name: a\n  pattern: make (?P<t>.+)\n  action: {api: calendar.create, params: {summary: '{t}', start: '{today}'}}\n"
)
GOOD = f"""
- name: acme
  teams: ["slack:T1", "feishu:f1"]
  instructions: |
    You help ACME.
  quota: {{messagesPerMinute: 60}}
  groups:
    leads: ["slack:T1:U1", "feishu:f1:ou_1"]
  apiKeys:
    - name: ci
      key: sha256:{DIGEST}
      scopes: [ask, "run:calendar.create"]
      groups: [leads]
      expires: 2027-01-31
  tokens:
    slack: file:/run/secrets/slack_acme
- name: beta
  teams: ["*"]
"""


def load(folder: Path, text: str, *, roles: str | None = None, **more: Any) -> Access:
    (folder / "tenants.yaml").write_text(text, encoding="utf-8")
    file = None
    if roles is not None:
        file = folder / "roles.yaml"
        file.write_text(roles, encoding="utf-8")
    more = {"environment": {}, **more}
    return Sources(tenants_file=folder / "tenants.yaml", roles_file=file, actions=ACTIONS, **more).load()


def mistakes(folder: Path, text: str, **more: Any) -> list[str]:
    with pytest.raises(AccessError) as raised:
        load(folder, text, **more)
    return str(raised.value).splitlines()


def named(tenants: Tenants, name: str) -> Tenant:
    found = tenants.named(name)
    assert found is not None
    return found


def test_a_tenant_is_what_its_entry_says(tmp_path: Path) -> None:
    tenants = load(tmp_path, GOOD).tenants
    acme = named(tenants, "acme")
    assert acme.teams == {"slack:T1", "feishu:f1"}
    assert acme.instructions == "You help ACME."
    assert acme.quota.messages_per_minute == 60
    assert acme.groups_of("feishu:f1:ou_1") == {"leads"}
    assert acme.groups_of("slack:T1:U9") == frozenset()
    assert acme.tokens == {"slack": SecretReference("file", "/run/secrets/slack_acme")}
    (key,) = acme.keys
    assert (key.name, key.tenant, key.groups, key.expires) == ("ci", "acme", {"leads"}, datetime(2027, 1, 31, tzinfo=UTC))
    assert key.scopes == {"ask", "run:calendar.create"}
    assert holder(tenants.keys, KEY) is key
    assert holder(tenants.keys, KEY + "x") is None
    beta = named(tenants, "beta")
    assert (beta.quota.messages_per_minute, beta.instructions, beta.keys, dict(beta.tokens)) == (None, "", (), {})


@pytest.mark.parametrize(
    ("platform", "team", "name"),
    [
        ("slack", "T1", "acme"),
        ("feishu", "f1", "acme"),
        ("feishu", "T1", "beta"),
        ("slack", "T2", "beta"),
        ("generic", "*", "beta"),
    ],
)
def test_a_team_is_its_tenants_and_the_star_has_those_that_nobody_names(
    tmp_path: Path, platform: str, team: str, name: str
) -> None:
    found = load(tmp_path, GOOD).tenants.of(platform, team)
    assert found is not None and found.name == name


def test_without_a_star_a_team_that_nobody_names_is_nobodys(tmp_path: Path) -> None:
    tenants = load(tmp_path, GOOD.replace('["*"]', '["slack:T2"]')).tenants
    assert tenants.of("slack", "T3") is None
    assert tenants.of("generic", "*") is None


def test_without_a_file_there_is_one_tenant_to_whom_every_team_belongs() -> None:
    access = Sources(tenants_file=None, roles_file=None, actions=ACTIONS, libraries=libraries()).load()
    (only,) = access.tenants
    assert only.name == "default"
    assert access.tenants.of("slack", "T1") is access.tenants.of("generic", "default") is only
    assert only.library.match("创建一个周会的日程在2026-12-01") is not None


def test_an_event_is_seen_by_its_tenant_and_by_the_operator_alone(tmp_path: Path) -> None:
    tenants = load(tmp_path, GOOD).tenants
    acme, beta = Principal(name="key:ci", tenant="acme"), Principal(name="jwt:x", tenant="beta")
    assert [may_see(who, "slack:T1:C1.17:2", tenants) for who in (acme, beta, OPERATOR)] == [True, False, True]
    assert [may_see(who, "slack:T9:1", tenants) for who in (acme, beta, OPERATOR)] == [False, True, True]
    # No key of an event has this form, so no tenant is its owner.
    assert [may_see(who, "slack:T1", tenants) for who in (acme, beta, OPERATOR)] == [False, False, True]


def test_a_tenant_may_have_a_task_library_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "own.yaml").write_text(TEMPLATE, encoding="utf-8")
    text = GOOD.replace("- name: acme\n", "- name: acme\n  tasks: acme\n")
    tenants = load(tmp_path, text, libraries=libraries()).tenants
    assert named(tenants, "acme").library.match("make tea") is not None
    assert named(tenants, "beta").library.match("make tea") is None


def test_a_library_with_mistakes_or_none_at_all_is_told_at_its_tenant(tmp_path: Path) -> None:
    text = GOOD.replace("- name: acme\n", "- name: acme\n  tasks: acme\n")
    (told,) = mistakes(tmp_path, text, libraries=libraries())
    assert told.startswith('tenants.yaml: tenant 1 "acme": tasks: ') and "no such directory" in told
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "own.yaml").write_text(TEMPLATE.replace("summary", "summery"), encoding="utf-8")
    assert 'tasks: own.yaml: template 1 "a"' in mistakes(tmp_path, text, libraries=libraries())[0]


@pytest.mark.parametrize("reference", ["env:CI_KEY", "file:{folder}/key"])
def test_a_key_may_stand_elsewhere(tmp_path: Path, reference: str) -> None:
    (tmp_path / "key").write_text(KEY + "\n", encoding="utf-8")
    text = GOOD.replace(f"sha256:{DIGEST}", reference.replace("{folder}", str(tmp_path)))
    tenants = load(tmp_path, text, environment={"CI_KEY": KEY}).tenants
    assert holder(tenants.keys, KEY) is not None


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:CI_KEY", "env:CI_KEY is not in the environment, or empty"),
        ("file:/nowhere/key", "file:/nowhere/key cannot be read"),
        ("env:SHORT", "an API key has 5 characters, at least 16"),
    ],
)
def test_a_key_that_is_not_where_it_should_be_is_a_mistake_where_the_processes_run_alone(
    tmp_path: Path, reference: str, words: str
) -> None:
    text = GOOD.replace(f"sha256:{DIGEST}", reference)
    (told,) = mistakes(tmp_path, text, environment={"SHORT": "short"})
    assert words in told and "apiKeys 1: key:" in told
    assert check(tmp_path / "tenants.yaml", None, ACTIONS) == []


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2027-01-31T12:00:00Z", 12),
        ("2027-01-31 12:00:00", 12),
        ('"2027-01-31T12:00:00+02:00"', 10),
        ('"2027-01-31T12:00"', 12),
        ('"2027-01-31"', 0),
    ],
)
def test_a_key_ends_at_a_moment_in_utc(tmp_path: Path, text: str, hour: int) -> None:
    (key,) = load(tmp_path, GOOD.replace("expires: 2027-01-31", f"expires: {text}")).tenants.keys
    assert key.expires == datetime(2027, 1, 31, hour, tzinfo=UTC)


CANARY = "xoxb-canary-0123456789"


@pytest.mark.parametrize(
    ("wrong", "right", "words"),
    [
        ("name: acme", "name: ACME", 'tenant 1: name: "ACME" is not allowed; lower case letters'),
        ("- name: beta\n", "- name: acme\n", 'the name "acme" is taken twice'),
        ('["*"]', '["slack:T1"]', 'teams: "slack:T1" belongs to "acme", "beta"'),
        ('["*"]', '["slak:T1"]', 'unknown platform "slak"; did you mean "slack"?'),
        ('["*"]', '["slack"]', '"slack" is neither platform:team nor "*"'),
        ('["*"]', '["slack:"]', '"slack:" is neither'),
        ('["*"]', '"*"', "teams: is a text; a list of texts is expected"),
        ('  teams: ["*"]\n', "", 'tenant 2 "beta": teams: is empty; a list'),
        ("instructions: |", "instruction: |", 'unknown field "instruction"; did you mean "instructions"?'),
        ("messagesPerMinute: 60", "messagesPerMinute: 0", "quota: messagesPerMinute: 0; a whole number from 1 to 100000"),
        ("messagesPerMinute: 60", "messagesPerMinute: yes", "is a truth value; a whole number"),
        ("messagesPerMinute: 60", "perMinute: 60", 'quota: unknown field "perMinute"'),
        ("slack:T1:U1", "slack:T1", 'groups: leads: "slack:T1" is not platform:team:user'),
        ("slack:T1:U1", "slack:T2:U1", 'groups: leads: "slack:T2:U1" is in no team of this tenant'),
        ("scopes: [ask", "scopes: [aks", 'scopes: unknown permission "aks"; did you mean "ask"?'),
        ("name: ci", "name: operator", '"operator" is the name of the stack\'s own key'),
        ("expires: 2027-01-31", "expires: soon", "expires: a day (2027-01-31) or a moment"),
        (f"sha256:{DIGEST}", "sha256:12", "key: sha256: and 64 hexadecimal digits, or where the key stands, is expected"),
        (f"sha256:{DIGEST}", CANARY, "what came is not repeated"),
        (f"sha256:{DIGEST}", f"file:{CANARY}", "what came is not repeated"),
        (f"sha256:{DIGEST}", f"env:{CANARY}", "what came is not repeated"),
        ("file:/run/secrets/slack_acme", CANARY, "tokens: slack: file:/absolute/path or env:NAME is expected; a secret itself"),
        ("slack: file:", "slck: file:", 'tokens: unknown platform "slck"; did you mean "slack"?'),
        ("- name: beta\n", "- name: beta\n  name: gamma\n", "stands twice"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_is_allowed_and_no_secret(
    tmp_path: Path, wrong: str, right: str, words: str
) -> None:
    assert wrong in GOOD
    told = "\n".join(mistakes(tmp_path, GOOD.replace(wrong, right)))
    assert words in told
    assert "tenants.yaml" in told
    assert CANARY not in told
    assert words in "\n".join(check(tmp_path / "tenants.yaml", None, ACTIONS)), "the same before anything runs"


@pytest.mark.parametrize(
    ("text", "words"), [("[]", "is empty; a list of tenants"), ("a: 1", "is a mapping; a list of tenants")]
)
def test_a_file_without_tenants_is_a_mistake(tmp_path: Path, text: str, words: str) -> None:
    assert words in mistakes(tmp_path, text)[0]


def test_one_key_for_two_tenants_would_be_nobodys_and_is_a_mistake(tmp_path: Path) -> None:
    again = f"  apiKeys:\n    - {{name: other, key: 'sha256:{DIGEST}'}}\n"
    assert mistakes(tmp_path, GOOD + again) == ['tenants.yaml: apiKeys: "ci", "other" are one and the same key']
    again = "  apiKeys:\n    - {name: ci, key: 'sha256:" + "0" * 64 + "'}\n"
    assert "names are unique over all tenants" in mistakes(tmp_path, GOOD + again)[0]


def test_the_mistakes_of_both_files_are_told_together(tmp_path: Path) -> None:
    roles = "- role: a\n  members: [al]\n  permissions: [aks]\n"
    told = mistakes(tmp_path, GOOD.replace('["*"]', '["slack"]').replace("acme", "ACME", 1), roles=roles)
    assert len(told) == 4
    assert {line.split(":")[0] for line in told} == {"tenants.yaml", "roles.yaml"}


@pytest.mark.parametrize(
    ("members", "more", "words"),
    [
        ("tenant:acne", "", 'role "a": unknown tenant "acne"; did you mean "acme"?'),
        ("key:c1", "", 'role "a": unknown key "c1"; did you mean "ci"? allowed: operator, ci'),
        ("everybody", "  tenant: betta\n", 'unknown tenant "betta"; did you mean "beta"?'),
    ],
)
def test_a_role_that_names_a_tenant_or_key_that_is_not_there_is_a_mistake(
    tmp_path: Path, members: str, more: str, words: str
) -> None:
    roles = f'- role: a\n  members: ["{members}"]\n  permissions: [ask]\n{more}'
    assert words in mistakes(tmp_path, GOOD, roles=roles)[0]


def test_a_role_that_names_them_rightly_is_none(tmp_path: Path) -> None:
    roles = '- role: a\n  members: ["tenant:acme", "key:ci", "key:operator", "group:of-a-token"]\n  permissions: [ask]\n'
    load(tmp_path, GOOD, roles=roles)


def test_no_digest_and_no_secret_is_in_the_words_for_a_tenant(tmp_path: Path) -> None:
    assert DIGEST not in repr(named(load(tmp_path, GOOD).tenants, "acme")).lower()


def test_the_files_that_the_documentation_shows_are_right(tmp_path: Path) -> None:
    tenants, roles = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "tenants.yaml").write_text(tenants, encoding="utf-8")
    (tmp_path / "roles.yaml").write_text(roles, encoding="utf-8")
    assert check(tmp_path / "tenants.yaml", tmp_path / "roles.yaml", ACTIONS) == []
    page = PAGE.read_text(encoding="utf-8")
    assert not {permission for permission in permissions(ACTIONS) if f"`{permission}`" not in page and "run:" not in permission}
