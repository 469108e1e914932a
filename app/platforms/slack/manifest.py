"""The application as Slack's developer console takes it ("Create New App", "From a manifest").

Source: https://docs.slack.dev/reference/app-manifest. The scopes are the least with which everything works; each with its
reason, which docs/platforms/slack.md repeats.
"""

from __future__ import annotations

from typing import Any, Final, Literal

Transport = Literal["webhook", "socket-mode"]

SCOPES: Final = {
    "app_mentions:read": "hears who mentions it in a channel",
    "channels:history": "asks whether an answer of unknown outcome has arrived in a public channel",
    "chat:write": "answers",
    "files:write": "attaches calendar entries as files",
    "groups:history": "asks the same in a private channel",
    "im:history": "hears direct messages, and asks the same there",
    "mpim:history": "asks the same in a group conversation",
}
# Not message.channels: what does not mention the assistant is not its business, and is not sent to it.
EVENTS: Final = ("app_mention", "message.im")
MAX_NAME, MAX_DESCRIPTION = 35, 140


def manifest(
    *,
    url: str | None,
    redirect_uri: str | None = None,
    transport: Transport = "webhook",
    name: str = "Assistant",
    description: str = "Answers questions and carries out tasks where your team talks.",
) -> dict[str, Any]:
    """``url``: where Slack reaches the gateway's ``/events/slack``; needed for webhooks alone. ``redirect_uri``: where an
    installation comes back, where several workspaces install the application; their tokens rotate. Raises
    :class:`ValueError`."""
    if not 0 < len(name) <= MAX_NAME or not 0 < len(description) <= MAX_DESCRIPTION:
        raise ValueError(f"a name has 1 to {MAX_NAME} characters and a description 1 to {MAX_DESCRIPTION}")
    if transport == "webhook" and not (url or "").startswith("https://"):
        raise ValueError("Slack sends events to an https:// address alone: give its public URL, or choose Socket Mode")
    if redirect_uri is not None and not redirect_uri.startswith("https://"):
        raise ValueError("Slack comes back to an https:// address alone: give the gateway's public URL")
    request_url = {"request_url": url} if transport == "webhook" else {}
    return {
        "display_information": {"name": name, "description": description},
        "features": {
            "app_home": {"home_tab_enabled": False, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False},
            "bot_user": {"display_name": name, "always_online": True},
        },
        "oauth_config": {
            **({"redirect_urls": [redirect_uri]} if redirect_uri else {}),
            "scopes": {"bot": sorted(SCOPES)},
        },
        "settings": {
            "event_subscriptions": {**request_url, "bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": False},
            "org_deploy_enabled": False,
            "socket_mode_enabled": transport == "socket-mode",
            "token_rotation_enabled": redirect_uri is not None,
        },
    }
