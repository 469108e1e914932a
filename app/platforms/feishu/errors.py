"""What an answer of Feishu's that is no success means. Pure.

Sources: https://open.feishu.cn/document/server-docs/api-call-guide/generic-error-code and the error codes at the end of each
interface's page (``…/reference/im-v1/message/reply``, ``…/reference/calendar-v4/calendar-event/create``). A refusal comes with
its code in the body and, by interface, with a status of 4xx or with 200.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.platforms.platform import GivenUp, Retryable

# Not accepted as this tenant's token: missing, malformed, unknown, expired.
INVALID_TOKEN = frozenset((99991661, 99991663, 99991664, 99991665, 99991668, 99991671, 99991677))
# Too often, by interface (99991400), chat (230020), calendar (1900xx), or all of the platform at a full hour (11232, 11233).
RATE_LIMITED = frozenset((99991400, 230020, 11232, 11233, 190004, 190005, 190010))
# The first request with this key is still at work, or the service failed: asked again with the same key.
REPEATABLE = frozenset((230049, 190003, 99991300))
NO_PERMISSION = 99991672
CARD_REFUSED = frozenset((230099, 200621, 200860, 11310))  # its form, or more of something than a card may hold
EVENT_GONE = frozenset((193000, 193001, 193003))  # a calendar entry that is not there (any more)
BUSY = frozenset((429, 502, 503))
MAX_RESET_SECONDS = 3600.0

PLAIN = {
    10003: "the application is unknown: FEISHU_APP_ID is wrong",
    10014: "FEISHU_APP_SECRET is not this application's",
    230001: "a parameter is not valid",
    230002: "the bot is not in the group",
    230006: "the application has no bot: enable it in the console and publish a version",
    230011: "the message was withdrawn",
    230013: "the person is outside the application's availability",
    230015: "the group belongs to another organisation, which does not let the bot in",
    230017: "the bot did not write the message",
    230018: "the group lets only its owners write",
    230019: "the thread is gone",
    230022: "the content was found to be sensitive",
    230025: "the message is too long",
    230027: "the bot lacks a right in this chat",
    230028: "the content was held back by the organisation's rules against leaks",
    230031: "the message is older than 14 days, which cannot be changed any more",
    230035: "the bot may not write in this chat",
    230050: "the message is not visible to the bot",
    230053: "the person does not want messages of this bot",
    230099: "the card was refused",
    230110: "the message was deleted",
    232009: "the group was dissolved",
    190002: "a parameter is not valid",
    190006: "the application is not the tenant's: check FEISHU_APP_ID and FEISHU_APP_SECRET",
    190007: "the application has no bot: enable it in the console and publish a version",
    191000: "the calendar does not exist: check FEISHU_CALENDAR_ID",
    191001: "the calendar does not exist: check FEISHU_CALENDAR_ID",
    191002: "the application may not write into the calendar: check FEISHU_CALENDAR_ID and its sharing",
    191003: "the calendar was deleted: check FEISHU_CALENDAR_ID",
    191004: "the calendar is of a kind that takes no entries: check FEISHU_CALENDAR_ID",
    193001: "the entry does not exist",
    193002: "the application may not change the entry",
    193003: "the entry was deleted",
    195100: "the person has left, or is of another organisation",
}
_SCOPE = re.compile(r"[a-z0-9_]+(?::[a-z0-9_.]+)+")


class TokenRejected(Exception):
    """The access token was not accepted: renew it, and repeat the call once."""


class Refused(GivenUp):
    """With Feishu's own code."""

    def __init__(self, reason: str, code: int | None) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. ``code``: Feishu's own, None where the body is none of Feishu's. ``message``: its explanation, which is
    searched for names of permissions and no more, as it may quote what was sent."""

    status: int
    code: int | None
    message: str = ""
    log_id: str = ""
    retry_after: float | None = None

    @property
    def fine(self) -> bool:
        return 200 <= self.status < 300 and self.code == 0


def failure(reply: Reply, what: str) -> Retryable | Refused | TokenRejected:
    """``what`` was asked for, as in "the answer": a noun for the trace."""
    if reply.code in INVALID_TOKEN:
        return TokenRejected(_told(reply, what, "the access token is not valid"))
    if reply.code in RATE_LIMITED or (reply.status in BUSY and reply.code is None) or reply.status == 429:
        return Retryable(_told(reply, what, "too often, or busy"), reply.retry_after, counted=False)
    if reply.code in REPEATABLE or reply.status >= 500 or reply.status == 408:
        return Retryable(_told(reply, what, ""), reply.retry_after)
    if reply.code is None and 200 <= reply.status < 300:
        return Retryable(_told(reply, what, "not as Feishu answers"))
    if 300 <= reply.status < 400:
        return Refused(_told(reply, what, "redirects are not followed, correct FEISHU_URL"), reply.code)
    why = _missing(reply.message) if reply.code == NO_PERMISSION else PLAIN.get(reply.code or 0, "")
    return Refused(_told(reply, what, why), reply.code)


def reset_seconds(headers: Mapping[str, str]) -> float | None:
    """How long Feishu asks to wait (``x-ogw-ratelimit-reset``, in seconds)."""
    try:
        seconds = float(headers.get("x-ogw-ratelimit-reset", "")[:9])
    except ValueError:
        return None
    return min(seconds, MAX_RESET_SECONDS) if seconds > 0 else None


def _missing(message: str) -> str:
    """The scopes, as Feishu lists them: any one of those suffices."""
    scopes = list(dict.fromkeys(_SCOPE.findall(message[:1000])))[:8]
    if not scopes:
        return "the application lacks a permission: compare docs/platforms/feishu.md with the console, and publish a version"
    return f"the application lacks a permission: add {' or '.join(scopes)} in the console, and publish a version"


def _told(reply: Reply, what: str, why: str) -> str:
    code = f" (code {reply.code})" if reply.code is not None else ""
    log = f" [log id {reply.log_id}]" if reply.log_id else ""
    return f"Feishu answered {reply.status}{code} to {what}{': ' + why if why else ''}{log}"
