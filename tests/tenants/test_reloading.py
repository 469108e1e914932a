"""Tenants and roles follow their files; what is wrong changes nothing; what changed is told by its name."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.auth.api_keys import holder
from app.auth.principal import Principal
from app.telemetry.audit.actions import ROLES_CHANGED, TENANTS_CHANGED
from app.telemetry.audit.record import AuditUnavailable
from app.tenants.access import Access, Sources
from app.tenants.changes import Change, changes
from app.tenants.following import following
from app.tenants.libraries import libraries
from app.tenants.reloading import Reloading

ACTIONS = ("calendar.create",)
SECRET = "a-key-of-acme-0123456789"
DIGEST = hashlib.sha256(SECRET.encode()).hexdigest()
TENANTS = """
- name: acme
  teams: ["slack:T1"]
  instructions: be brief
- name: beta
  teams: ["*"]
"""
ROLES = """
- role: user
  members: [everybody]
  permissions: [ask]
"""
LIBRARY = "- name: a\n  pattern: make (?P<t>.+)\n  action: {api: calendar.create, params: {summary: '{t}', start: '{today}'}}\n"


@dataclass
class Files:
    """The two files in a folder, and what a :class:`Reloading` told of them."""

    folder: Path
    told: list[str] = field(default_factory=list)
    failed: list[Sequence[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.write(TENANTS, ROLES)
        self.sources = Sources(
            tenants_file=self.folder / "tenants.yaml",
            roles_file=self.folder / "roles.yaml",
            actions=ACTIONS,
            libraries=libraries(),
            environment={},
        )
        self.reloading = Reloading(self.sources, self.sources.load(), changed=self._changed, failed=self._failed)

    def write(self, tenants: str, roles: str | None = None) -> None:
        (self.folder / "tenants.yaml").write_text(tenants, encoding="utf-8")
        if roles is not None:
            (self.folder / "roles.yaml").write_text(roles, encoding="utf-8")

    async def looks(self, times: int = 3) -> Access:
        for _ in range(times):
            await self.reloading.look()
        return self.reloading.access()

    async def _changed(self, different: tuple[Change, ...]) -> None:
        self.told += map(str, different)

    async def _failed(self, mistakes: tuple[str, ...]) -> None:
        self.failed.append(mistakes)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def test_what_stays_as_it_is_is_neither_told_nor_loaded_again(files: Files) -> None:
    await files.looks()
    loaded = files.reloading.access()
    assert await files.looks() is loaded
    assert files.told == [] and files.failed == []


async def test_a_change_holds_and_is_told_by_names_alone(files: Files) -> None:
    await files.looks()
    files.write(
        TENANTS.replace("brief", "verbose").replace('"slack:T1"', '"slack:T1", "slack:T2"')
        + "- {name: new, teams: ['slack:T3']}\n"
    )
    access = await files.looks()
    acme = access.tenants.of("slack", "T2")
    assert acme is not None and (acme.name, acme.instructions) == ("acme", "be verbose")
    assert files.told == ["tenant new added", "tenant acme changed (teams, instructions)"]


async def test_a_role_that_is_taken_away_is_gone(files: Files) -> None:
    asker = Principal(name="slack:T1:U1", tenant="acme")
    assert (await files.looks()).roles.permits(asker, "ask")
    files.write(TENANTS, "[]")
    assert not (await files.looks()).roles.permits(asker, "ask")
    assert files.told == ["role user removed"]


async def test_what_is_wrong_leaves_the_old_in_place_and_is_told_once(files: Files) -> None:
    await files.looks()
    before = files.reloading.access()
    files.write(TENANTS.replace("slack:T1", "slak:T1"), ROLES.replace("ask", "asks"))
    assert await files.looks(5) is before
    assert files.reloading.failing
    assert len(files.failed) == 1 and len(files.failed[0]) == 2
    files.write(TENANTS, ROLES)
    await files.looks()
    assert not files.reloading.failing
    assert files.told == [], "what holds is what held before"


async def test_of_a_good_and_a_bad_file_neither_is_taken(files: Files) -> None:
    await files.looks()
    files.write(TENANTS.replace("brief", "verbose"), ROLES.replace("ask", "asks"))
    acme = (await files.looks()).tenants.named("acme")
    assert acme is not None and acme.instructions == "be brief"


async def test_a_file_that_is_being_written_is_left_alone_until_it_stands_still(files: Files) -> None:
    await files.looks()
    text = TENANTS + "- {name: new, teams: ['slack:T3']}\n"
    for end in (TENANTS.index("- name: beta"), len(TENANTS), len(text)):  # each of them is a file without mistakes
        files.write(text[:end])
        await files.looks(1)
    assert files.told == []
    await files.looks(1)
    assert [tenant.name for tenant in files.reloading.access().tenants] == ["acme", "beta", "new"]
    assert files.told == ["tenant new added"]


async def test_a_file_that_goes_away_and_comes_back_leaves_everything_as_it_was(files: Files) -> None:
    await files.looks()
    (files.folder / "tenants.yaml").unlink()
    assert len((await files.looks()).tenants) == 2
    assert files.reloading.failing
    files.write(TENANTS)
    await files.looks()
    assert not files.reloading.failing and files.told == []


async def test_files_that_are_replaced_by_a_link_are_followed(tmp_path: Path) -> None:
    """As Kubernetes replaces a ConfigMap: the folder's link is moved to another folder."""
    for name, text in (("one", TENANTS), ("two", TENANTS.replace("brief", "verbose"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tenants.yaml").write_text(text, encoding="utf-8")
        (tmp_path / name / "roles.yaml").write_text(ROLES, encoding="utf-8")
        os.utime(tmp_path / name / "tenants.yaml", (0, 0))
    (tmp_path / "data").symlink_to("one")
    sources = Sources(
        tenants_file=tmp_path / "data/tenants.yaml", roles_file=tmp_path / "data/roles.yaml", actions=ACTIONS, environment={}
    )
    reloading = Reloading(sources, sources.load())
    await reloading.look()
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "data")
    for _ in range(2):
        await reloading.look()
    acme = reloading.access().tenants.named("acme")
    assert acme is not None and acme.instructions == "be verbose"


async def test_a_tenants_task_library_and_key_are_followed_too(files: Files) -> None:
    (files.folder / "tasks").mkdir()
    (files.folder / "tasks" / "a.yaml").write_text(LIBRARY, encoding="utf-8")
    (files.folder / "key").write_text(SECRET, encoding="utf-8")
    own = TENANTS.replace("be brief", f"be brief\n  tasks: tasks\n  apiKeys: [{{name: ci, key: 'file:{files.folder}/key'}}]")
    files.write(own)
    await files.looks()
    files.told.clear()

    (files.folder / "tasks" / "b.yaml").write_text(
        LIBRARY.replace("name: a", "name: b").replace("make", "do"), encoding="utf-8"
    )
    acme = (await files.looks()).tenants.named("acme")
    assert acme is not None and acme.library.match("do it") is not None
    (files.folder / "key").write_text("another-key-0123456789", encoding="utf-8")
    tenants = (await files.looks()).tenants
    assert holder(tenants.keys, SECRET) is None and holder(tenants.keys, "another-key-0123456789") is not None
    assert files.told == ["tenant acme changed (tasks_digest)", "tenant acme changed (keys)"]


async def test_a_mistake_that_is_mended_in_a_file_which_nobody_watched_yet_is_noticed(files: Files) -> None:
    await files.looks()
    files.write(TENANTS.replace("be brief", "be brief\n  tasks: tasks"))
    await files.looks()
    assert files.reloading.failing
    (files.folder / "tasks").mkdir()
    (files.folder / "tasks" / "a.yaml").write_text(LIBRARY, encoding="utf-8")
    acme = (await files.looks()).tenants.named("acme")
    assert acme is not None and acme.library.match("make tea") is not None
    assert not files.reloading.failing


def test_a_change_says_nothing_but_names(files: Files) -> None:
    old = files.sources.load()
    files.write(
        TENANTS.replace("be brief", "a canary") + f"  apiKeys: [{{name: ci, key: 'sha256:{DIGEST}'}}]\n",
        ROLES.replace("[ask]", '["*"]'),
    )
    told = " ".join(map(str, changes(old, files.sources.load())))
    assert told == "tenant acme changed (instructions) tenant beta changed (keys) role user changed (permissions)"


@dataclass
class Log:
    """The audit log, kept in memory; it takes nothing while ``away``."""

    records: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    away: bool = False
    recorded: asyncio.Event = field(default_factory=asyncio.Event)

    async def record(
        self, action: str, *, actor: str, tenant: str = "", subject: str = "", outcome: str = "done", **details: str | int
    ) -> None:
        self.recorded.set()
        if self.away:
            raise AuditUnavailable("the disk is full")
        self.records.append((action, outcome, details))


async def following_until(log: Log, count: int) -> None:
    async with asyncio.timeout(20):
        while len(log.records) < count:
            log.recorded.clear()
            await log.recorded.wait()


async def test_what_takes_effect_is_in_the_audit_log_and_whether_it_does_in_a_metric(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tenants.reloading.LOOK_SECONDS", 0.01)
    log, registry = Log(), CollectorRegistry()
    async with following(files.sources, files.sources.load(), log, registry) as reloading:
        started = [(action, outcome, details["file"]) for action, outcome, details in log.records]
        assert started == [(TENANTS_CHANGED, "done", "tenants.yaml"), (ROLES_CHANGED, "done", "roles.yaml")]
        assert registry.get_sample_value("assistant_access_reload_failed") == 0

        files.write(TENANTS, ROLES.replace("user", "asker"))
        await following_until(log, 3)
        action, outcome, details = log.records[2]
        assert (action, outcome, details["added"], details["removed"]) == (ROLES_CHANGED, "done", "asker", "user")
        assert details["digest"] == hashlib.sha256((files.folder / "roles.yaml").read_bytes()).hexdigest()

        files.write(TENANTS.replace("slack:", "slak:"))
        await following_until(log, 4)
        assert log.records[3][:2] == (TENANTS_CHANGED, "refused") and log.records[3][2]["mistakes"] == 1
        assert registry.get_sample_value("assistant_access_reload_failed") == 1
        assert reloading.access().tenants.of("slack", "T1") is not None


async def test_nothing_takes_effect_that_the_audit_log_does_not_take(files: Files) -> None:
    log = Log()

    async def changed(different: tuple[Change, ...]) -> None:
        await log.record(ROLES_CHANGED, actor="process", changed=" ".join(change.name for change in different))

    reloading = Reloading(files.sources, files.sources.load(), changed=changed)
    asker = Principal(name="slack:T1:U1", tenant="acme")
    for _ in range(2):
        await reloading.look()
    files.write(TENANTS, ROLES.replace("[ask]", '[ask, "run:calendar.create"]'))
    log.away = True
    await reloading.look()
    for _ in range(2):
        with pytest.raises(AuditUnavailable):
            await reloading.look()
    assert not reloading.access().roles.permits(asker, "run:calendar.create")
    log.away = False
    await reloading.look()
    assert reloading.access().roles.permits(asker, "run:calendar.create")
