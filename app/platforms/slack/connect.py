"""Whether the credentials are right, found out by using them: what ``make connect`` asks of Slack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.http.outbound import CallFailed
from app.platforms.slack.errors import Verdict, judge
from app.platforms.slack.manifest import SCOPES
from app.platforms.slack.web_api import Reply, WebApi


class CheckFailed(Exception):
    """``field``: the setting, or the field of the console, that is wrong; the message says why and what to do. ``passing``:
    it may be otherwise in a while, without anybody's doing."""

    def __init__(self, field: str, message: str, *, passing: bool = False) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.passing = field, passing


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a bot token belongs to."""

    team: str  # T…, or E… for an organisation
    team_name: str
    bot_user: str  # U…: who is mentioned
    url: str  # of the workspace
    scopes: frozenset[str]


async def identify(api: WebApi, token: str) -> Identity:
    """Raises :class:`CheckFailed`; for missing scopes too, by their names."""
    if not token.startswith(("xoxb-", "xoxe.xoxb-")):
        raise CheckFailed("SLACK_BOT_TOKEN", 'a bot token begins with xoxb-: copy it from "OAuth & Permissions"')
    reply = await _ask(api, "auth.test", token, {}, "SLACK_BOT_TOKEN")
    if missing := missing_scopes(reply.scopes):
        reasons = "; ".join(f"{scope} ({SCOPES[scope]})" for scope in missing)
        raise CheckFailed(
            "OAuth & Permissions, Bot Token Scopes",
            f"{reasons} is missing: add it and install the application in the workspace again",
        )
    return Identity(
        team=reply.text("team_id") or reply.text("enterprise_id"),
        team_name=reply.text("team"),
        bot_user=reply.text("user_id"),
        url=reply.text("url"),
        scopes=reply.scopes,
    )


def missing_scopes(granted: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(SCOPES.keys() - set(granted)))


async def check_app_token(api: WebApi, token: str) -> None:
    """Whether Socket Mode can connect with the app-level ``token``. Raises :class:`CheckFailed`."""
    if not token.startswith("xapp-"):
        raise CheckFailed(
            "SLACK_APP_TOKEN",
            'an app-level token begins with xapp-: create one under "Basic Information", "App-Level Tokens", with the scope '
            "connections:write",
        )
    await _ask(api, "apps.connections.open", token, {}, "SLACK_APP_TOKEN")


async def say_hello(api: WebApi, token: str, channel: str, text: str) -> str:
    """Post ``text``; the message's time stamp. ``channel``: an id, of a channel (C…) or a person (U…).
    Raises :class:`CheckFailed`."""
    arguments = {"channel": channel, "markdown_text": text, "unfurl_links": False, "unfurl_media": False}
    return (await _ask(api, "chat.postMessage", token, arguments, "channel")).text("ts")


async def _ask(api: WebApi, method: str, token: str, arguments: Mapping[str, Any], field: str) -> Reply:
    try:
        reply = await api.call(method, token, arguments)
    except CallFailed as error:
        raise CheckFailed("SLACK_API_URL", f"{error}: is this machine allowed to reach it?", passing=True) from None
    judged = judge(method, reply.answer.status, reply.error, reply.text("needed"))
    if judged.verdict is Verdict.DONE:
        return reply
    passing = judged.verdict in (Verdict.BUSY, Verdict.LOST, Verdict.UNKNOWN)
    raise CheckFailed("SLACK_API_URL" if passing or reply.error is None else field, judged.reason, passing=passing)
