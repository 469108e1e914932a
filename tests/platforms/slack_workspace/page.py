"""The conversations for a person to watch: as lines of a terminal and as a page."""

from __future__ import annotations

import html
from typing import Any

from slack_workspace.workspace import BOT_USER, Workspace

PAGE = """<!doctype html><meta charset=utf-8><title>Slack, emulated</title>
<style>body{font:15px sans-serif;max-width:50em;margin:2em auto}p{white-space:pre-wrap;margin:.3em 0}.reply{margin-left:2em}
small{color:#666}</style><h1>Slack, emulated</h1>{rows}
<form method=post action=/say><select name=channel>{options}</select> <input name=text size=60 autofocus
placeholder="In a channel, begin with @assistant"> <button>Send</button> <a href=/>Refresh</a></form>"""


def rendered(workspace: Workspace) -> str:
    rows = "".join(_row(workspace, message) for message in workspace.messages)
    options = "".join(
        f"<option value={channel.id}>{html.escape(_label(channel.name))}</option>"
        for channel in workspace.channels.values()
        if channel.bot_is_member and not channel.archived
    )
    return PAGE.replace("{rows}", rows).replace("{options}", options)


def line(workspace: Workspace, message: dict[str, Any]) -> str:
    """One line for a terminal: no control characters, not endless."""
    name = workspace.channels[message["channel"]].name
    where = "" if name.startswith("U") else f"#{name} "
    text = f"{where}{'  ↳ ' if _is_reply(message) else ''}{_text(message)}"
    shown = "".join(character if character.isprintable() else " " for character in text)
    return f"{_name(workspace, message['user']):<10}{shown if len(shown) <= 300 else shown[:299] + '…'}"


def _row(workspace: Workspace, message: dict[str, Any]) -> str:
    kind = " class=reply" if _is_reply(message) else ""
    who, where = _name(workspace, message["user"]), _label(workspace.channels[message["channel"]].name)
    return f"<p{kind}><b>{html.escape(who)}</b> <small>{html.escape(where)}</small> {html.escape(_text(message))}</p>"


def _text(message: dict[str, Any]) -> str:
    files = "".join(f" [file {file['name']}]" for file in message.get("files", []))
    return str(message["text"]).replace(f"<@{BOT_USER}>", "@assistant") + files


def _is_reply(message: dict[str, Any]) -> bool:
    return message.get("thread_ts") not in (None, message["ts"])


def _name(workspace: Workspace, user: str) -> str:
    return workspace.users.get(user, user)


def _label(name: str) -> str:
    return "direct message" if name.startswith("U") else name
