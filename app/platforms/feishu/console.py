"""What to enter in Feishu's developer console. Pure: ``make connect`` prints it, docs/platforms/feishu.md explains it.

The console takes permissions as JSON ("Permissions & Scopes", "Batch import/export scopes"), everything else by hand. Names are
those of the English console; Lark's is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from app.platforms.feishu.payload import MESSAGE_EVENT

Transport = Literal["webhook", "long-connection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """``instead``: sets of wider or finer permissions, any one of which does as well."""

    name: str
    reason: str
    instead: tuple[frozenset[str], ...] = ()

    def granted(self, scopes: frozenset[str]) -> bool:
        return self.name in scopes or any(other <= scopes for other in self.instead)


def _any_of(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset((name,)) for name in names)


# The least with which everything works.
SCOPES: Final = (
    Scope(
        name="im:message.p2p_msg:readonly",
        reason="hears direct messages",
        instead=_any_of("im:message.p2p_msg", "im:message", "im:message:readonly"),
    ),
    Scope(
        name="im:message.group_at_msg:readonly",
        reason="hears who mentions it in a group",
        instead=_any_of("im:message.group_at_msg", "im:message.group_msg"),
    ),
    Scope(name="im:message:send_as_bot", reason="answers", instead=_any_of("im:message")),
    Scope(name="im:resource", reason="attaches calendar entries as files", instead=_any_of("im:resource:upload")),
    Scope(
        name="calendar:calendar",
        reason="creates calendar entries and invites who asked for them",
        instead=(
            frozenset(
                (
                    "calendar:calendar:read",
                    "calendar:calendar.event:create",
                    "calendar:calendar.event:update",
                    "calendar:calendar.event:delete",
                )
            ),
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing to enter. ``value`` is to be copied; empty where it is chosen, as ``field`` says."""

    page: str
    field: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.page}: {self.field}" + (f"\n    {self.value}" if self.value else "")


def console_settings(url: str | None, redirect_uri: str | None = None, transport: Transport = "webhook") -> tuple[Entry, ...]:
    """In the order in which the console wants it. ``url``: where Feishu reaches the gateway's ``/events/feishu``, for webhooks;
    ``redirect_uri``: where an installation comes back. Raises :class:`ValueError`."""
    if transport == "webhook" and not (url or "").startswith("https://"):
        raise ValueError("Feishu sends events to an https:// address alone: give its public URL, or take the long connection")
    page = "Events & Callbacks"
    webhook = (
        Entry(page=f"{page}, Encryption strategy", field="Encrypt Key: generate one, and set FEISHU_ENCRYPT_KEY to it"),
        Entry(page=f"{page}, Encryption strategy", field="Verification Token: set FEISHU_VERIFICATION_TOKEN to it"),
        Entry(
            page=f"{page}, Event configuration",
            field="Subscription mode: Send notifications to developer's server; once the gateway runs, save the request URL",
            value=url or "",
        ),
    )
    connection = (
        Entry(
            page=f"{page}, Event configuration",
            field="Subscription mode: Receive events through persistent connection; it is saved only while the process "
            "python -m app.platforms.feishu.long_connection is connected",
        ),
    )
    sign_in = (Entry(page="Security Settings", field="Redirect URLs: add", value=redirect_uri),) if redirect_uri else ()
    return (
        Entry(page="Credentials & Basic Info", field="App ID and App Secret: set FEISHU_APP_ID and FEISHU_APP_SECRET to them"),
        Entry(page="Add Features", field="Bot: add"),
        Entry(page="Permissions & Scopes, Batch import/export scopes", field="import", value=scopes_json()),
        *(webhook if transport == "webhook" else connection),
        Entry(page=f"{page}, Event configuration", field="Add events", value=MESSAGE_EVENT),
        *sign_in,
        Entry(
            page="Version Management & Release", field="Create a version and publish it: until then nothing of this is in force"
        ),
    )


def scopes_json() -> str:
    return json.dumps({"scopes": {"tenant": [scope.name for scope in SCOPES], "user": []}})


def missing_scopes(granted: Iterable[str]) -> tuple[Scope, ...]:
    have = frozenset(granted)
    return tuple(scope for scope in SCOPES if not scope.granted(have))
