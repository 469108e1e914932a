"""What the audit log tells of: every operation by which somebody gets at what is not theirs by itself, or is kept from it.

An action that is not here cannot be recorded, and a detail that is not named here neither: so no text of a message and no
secret gets in by way of a new call.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PROCESS_STARTED: Final = "process.started"
PROCESS_STOPPED: Final = "process.stopped"
RECORDS_LOST: Final = "records.lost"
SIGN_IN_REFUSED: Final = "sign_in.refused"
PERMISSION_DENIED: Final = "permission.denied"
TASK_RUN: Final = "task.run"
EVENTS_READ: Final = "event.read_aside"
EVENT_REPLAYED: Final = "event.replayed"
EVENT_DISCARDED: Final = "event.discarded"
INSTALL_STARTED: Final = "install.started"
INSTALL_FINISHED: Final = "install.finished"
INSTALL_REFUSED: Final = "install.refused"
INSTALL_REVOKED: Final = "install.revoked"
TOKEN_REFRESHED: Final = "token.refreshed"  # noqa: S105 a name
ROLES_CHANGED: Final = "roles.changed"
TENANTS_CHANGED: Final = "tenants.changed"
SECRET_PREVIOUS_USED: Final = "secret.previous_used"  # noqa: S105 a name

ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        PROCESS_STARTED: "A process began to record: the first record of every writer.",
        PROCESS_STOPPED: "It stopped in order: the last one. A writer without it was killed, or still runs.",
        RECORDS_LOST: "So many records could not be written before this one.",
        SIGN_IN_REFUSED: "A signature, an API key or a token was missing, wrong or expired.",
        PERMISSION_DENIED: "Somebody who is known asked for what none of their roles permits.",
        TASK_RUN: "A task's action is carried out for the sender of an event.",
        EVENTS_READ: "Somebody looked at what is set aside: all of it, or one event.",
        EVENT_REPLAYED: "A dead letter or an event of unknown outcome was queued again.",
        EVENT_DISCARDED: "One was forgotten, for good.",
        INSTALL_STARTED: "Somebody was sent to a platform to install the assistant for a team.",
        INSTALL_FINISHED: "A team's token was received and stored.",
        INSTALL_REFUSED: "An installation came back with a wrong state, redirect URI or code.",
        INSTALL_REVOKED: "A team's token was forgotten.",
        TOKEN_REFRESHED: "A platform's access token was fetched anew.",
        ROLES_CHANGED: "The roles took effect, at the start or while running.",
        TENANTS_CHANGED: "The tenants took effect, at the start or while running.",
        SECRET_PREVIOUS_USED: "A request was signed with a secret that is being replaced.",
    }
)

DETAILS: Final = frozenset(
    {
        "attempts",  # of an event
        "added",  # names of roles or tenants, space-separated, as the next two
        "changed",
        "removed",
        "count",
        "digest",  # SHA-256 of a file that took effect
        "file",  # its name, without a folder
        "host",
        "kind",
        "limit",
        "mistakes",  # how many
        "permission",
        "pid",
        "platform",
        "reason",  # a code, or an exception's own words for an operator
        "redirect_uri",
        "route",  # the template, never the path
        "scopes",
        "secret",  # the setting's name, never the value
        "seconds",
        "service",
        "state",
        "status",  # of HTTP
        "suppressed",  # how many of the same since the last record of them
        "task",  # the action of a task
        "team",
        "transport",
        "version",
    }
)
