"""What an answer of the Web API means. Pure.

Slack answers 200 with ``{"ok": false, "error": word}``, 429 with ``Retry-After`` where too much is sent, and other statuses
where something between us and it answers. Two words say that the call may have had its effect all the same
(https://docs.slack.dev/reference/methods/chat.postMessage, errors): ``internal_error`` and ``fatal_error``, "it's possible some
aspect of the operation succeeded". Every other word is a refusal: nothing was done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    DONE = "done"
    BUSY = "busy"  # nothing was done, and the call is not the cause: again later
    LOST = "lost"  # nothing was done, since the call did not arrive whole: again
    UNAUTHENTICATED = "unauthenticated"  # nothing was done, since the token is not valid (any more): once more with another
    REFUSED = "refused"  # nothing was done, and repeating does not mend it
    UNKNOWN = "unknown"  # it may have been done


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    reason: str = ""  # for logs and traces: what came, and what to do


BUSY: Final = frozenset(
    ("ratelimited", "rate_limited", "message_limit_exceeded", "service_unavailable", "team_added_to_org", "org_login_required")
)
LOST: Final = frozenset(("request_timeout",))
UNAUTHENTICATED: Final = frozenset(("invalid_auth", "not_authed", "token_expired", "token_revoked", "account_inactive"))
UNKNOWN: Final = frozenset(("internal_error", "fatal_error"))

_INVITE = "invite the assistant into the channel (/invite), or write to it there where it is"
_ADMINISTRATOR = "a setting of the workspace forbids it: ask an administrator"
_OURS = "this is a defect of the assistant: report it with this line"
_REINSTALL = "install the application in the workspace again, so that it has a valid bot token"
ADVICE: Final = {
    "account_inactive": "the workspace has removed the application: " + _REINSTALL,
    "token_revoked": "the token was revoked: " + _REINSTALL,
    "token_expired": "the token has expired and was not renewed: " + _REINSTALL,
    "invalid_auth": "the bot token is wrong, or Slack does not take calls from this address: check SLACK_BOT_TOKEN",
    "not_authed": "no bot token was sent: check SLACK_BOT_TOKEN",
    "not_allowed_token_type": "the token is of another kind: a bot token begins with xoxb-, an app-level token with xapp-",
    "missing_scope": 'add the scope under "OAuth & Permissions" and install the application again',
    "channel_not_found": _INVITE,
    "not_in_channel": _INVITE,
    "is_archived": "the channel is archived: nobody can post there",
    "messages_tab_disabled": 'switch on "Messages Tab" under "App Home", so that the assistant can answer in direct messages',
    "restricted_action": _ADMINISTRATOR,
    "restricted_action_read_only_channel": _ADMINISTRATOR,
    "restricted_action_thread_only_channel": _ADMINISTRATOR,
    "restricted_action_non_threadable_channel": _ADMINISTRATOR,
    "restricted_action_thread_locked": _ADMINISTRATOR,
    "no_permission": _ADMINISTRATOR,
    "access_denied": _ADMINISTRATOR,
    "accesslimited": _ADMINISTRATOR,
    "ekm_access_denied": _ADMINISTRATOR,
    "team_access_not_granted": _ADMINISTRATOR,
    "enterprise_is_restricted": _ADMINISTRATOR,
    "cannot_reply_to_message": "the message takes no replies",
    "message_not_found": "the message is gone",
    "thread_not_found": "the message is gone",
    "edit_window_closed": "the message is too old to be changed",
    "msg_too_long": _OURS,
    "msg_blocks_too_long": _OURS,
    "no_text": _OURS,
    "invalid_arguments": _OURS,
    "invalid_blocks": _OURS,
    "invalid_metadata_format": _OURS,
    "metadata_too_large": _OURS,
    "markdown_text_conflict": _OURS,
    "file_upload_size_restricted": "the workspace takes no files of this size",
    "storage_limit_reached": "the workspace has no room left for files",
}
_WORD = re.compile(r"[A-Za-z0-9_.:\-]{1,80}", re.ASCII)


def judge(method: str, status: int, error: str | None, needed: str = "") -> Judgement:
    """``error``: the answer's word, "" where it says ``ok``, None where the body is no answer of Slack's.
    ``needed``: the scope that a ``missing_scope`` names."""
    if error is None or status == 429:
        return _by_status(method, status)
    if not error:
        return Judgement(Verdict.DONE)
    word = error if _WORD.fullmatch(error) else "something that is no word"
    detail = f" {needed}" if word == "missing_scope" and _WORD.fullmatch(needed) else ""
    advice = f": {ADVICE[word]}" if word in ADVICE else ""
    return Judgement(_by_word(word), f"Slack answered {word}{detail} to {method}{advice}")


def _by_word(word: str) -> Verdict:
    words = {
        Verdict.BUSY: BUSY,
        Verdict.LOST: LOST,
        Verdict.UNAUTHENTICATED: UNAUTHENTICATED,
        Verdict.UNKNOWN: UNKNOWN,
    }
    return next((verdict for verdict, known in words.items() if word in known), Verdict.REFUSED)


def _by_status(method: str, status: int) -> Judgement:
    reason = f"Slack answered {status} to {method}"
    if status == 429:
        return Judgement(Verdict.BUSY, reason)
    if 300 <= status < 400:
        return Judgement(Verdict.REFUSED, f"{reason}: redirects are not followed, correct SLACK_API_URL")
    # A proxy or a load balancer may give up a request that Slack goes on with.
    if status in (200, 408) or status >= 500:
        return Judgement(Verdict.UNKNOWN, f"{reason} without saying what became of it")
    return Judgement(Verdict.REFUSED, f"{reason}: check SLACK_API_URL")
