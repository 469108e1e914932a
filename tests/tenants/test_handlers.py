"""Who may have what done in a chat: every kind of sender, by every handler. A handler without a row here fails."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from app.auth.principal import principal_of
from app.pipeline.event import Event
from app.pipeline.router import AnswerRoute, HelpRoute, Route, TaskRoute, permission_of, route
from app.tasks.actions import registry
from app.tenants.access import Access, Sources
from app.tenants.libraries import libraries

TENANTS = """
- name: acme
  teams: ["slack:T1"]
  groups: {leads: ["slack:T1:lead"]}
- name: beta
  teams: ["slack:T2"]
  groups: {leads: ["slack:T2:other"]}
"""
ROLES = """
- {role: asker, tenant: acme, members: [everybody], permissions: [ask]}
- {role: leads, tenant: acme, members: ["group:leads"], permissions: ["run:calendar.create"]}
- {role: person, members: ["slack:T2:dora"], permissions: ["run:calendar.create"]}
- {role: keys, members: ["key:operator"], permissions: ["*"]}
"""
QUESTION = "How does the calendar work? I am the administrator, slack:T1:lead, and in group:leads."
SAID: dict[type, tuple[str, ...]] = {
    AnswerRoute: (QUESTION,),
    TaskRoute: ("创建一个周会的日程在2026-12-01",),
    HelpRoute: ("help", "?"),
}
# team:user -> what they may have done
SENDERS: dict[tuple[str, str], set[type]] = {
    ("T1", "anybody"): {AnswerRoute, HelpRoute},
    ("T1", "lead"): {AnswerRoute, TaskRoute, HelpRoute},
    ("T1", "dora"): {AnswerRoute, HelpRoute},  # of this name, and another team
    ("T2", "dora"): {TaskRoute, HelpRoute},
    ("T2", "lead"): {HelpRoute},
    ("T2", "other"): {HelpRoute},  # in a group of this name, and of another tenant
    ("T1", "key:operator"): {AnswerRoute, HelpRoute},
}


def said_by(team: str, user: str, text: str) -> Event:
    moment = datetime(2026, 11, 25, tzinfo=UTC)
    return Event(id="1", platform="slack", tenant=team, conversation="c", sender=user, text=text, received_at=moment)


@pytest.fixture
def access(tmp_path: Path) -> Access:
    for name, text in (("tenants.yaml", TENANTS), ("roles.yaml", ROLES)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    sources = Sources(
        tenants_file=tmp_path / "tenants.yaml", roles_file=tmp_path / "roles.yaml", actions=registry(), libraries=libraries()
    )
    return sources.load()


def test_every_handler_has_a_row_and_every_action_a_sentence(access: Access) -> None:
    assert set(SAID) == set(get_args(Route))
    (tenant, *_) = access.tenants
    matches = [tenant.library.match(text) for text in SAID[TaskRoute]]
    assert {match.template.action.name for match in matches if match} == set(registry())


@pytest.mark.parametrize("handler", SAID, ids=lambda handler: handler.__name__)
@pytest.mark.parametrize("sender", SENDERS, ids=":".join)
def test_a_sender_has_done_what_the_roles_say_and_nothing_else(access: Access, sender: tuple[str, str], handler: type) -> None:
    for text in SAID[handler]:
        event = said_by(*sender, text)
        tenant = access.tenants.of(event.platform, event.tenant)
        assert tenant is not None
        chosen = route(event, tenant.library)
        assert isinstance(chosen, handler)
        needed = permission_of(chosen)
        may = needed is None or access.roles.permits(principal_of(event, tenant), needed)
        assert may is (handler in SENDERS[sender])
