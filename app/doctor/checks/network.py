"""The way to each platform whose calls this process makes: name, TCP, TLS, and how long each takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from app.doctor.finding import Finding, note, ok
from app.doctor.place import Place
from app.doctor.reach import Reached, judge, reach

CHECK: Final = "network"


@dataclass(frozen=True, slots=True)
class Target:
    """``whose`` address, and the ``setting`` that names it."""

    whose: str
    setting: str
    url: str


async def look(place: Place) -> list[Finding]:
    found = [judged(target, await reach(target.url)) for target in targets(place)]
    return found or [ok(CHECK, "No platform is called from here")]


def targets(place: Place) -> tuple[Target, ...]:
    """The platforms that this process calls; the gateway does where teams install the application."""
    settings: Any = place.settings
    found: list[Target] = []
    if place.service == "worker" and settings.generic_url:
        found.append(Target("the generic platform", "GENERIC_URL", settings.generic_url))
    slack = {
        "gateway": ("slack_client_id",),
        "worker": ("slack_bot_token", "slack_client_id"),
        "transport": ("slack_app_token",),
    }
    feishu = {"gateway": ("feishu_app_id",), "worker": ("feishu_app_id",), "transport": ("feishu_app_id",)}
    if any(getattr(settings, name, None) for name in slack.get(place.service, ())):
        found.append(Target("Slack", "SLACK_API_URL", settings.slack_api_url))
    if any(getattr(settings, name, None) for name in feishu.get(place.service, ())):
        found.append(Target("Feishu", "FEISHU_URL", settings.feishu_url))
    return tuple(found)


def judged(target: Target, found: Reached) -> Finding:
    if target.setting == "GENERIC_URL" and found.stage == "tcp" and _is_this_machine(target.url):
        return note(
            CHECK,
            "The generic platform on this machine is not running",
            f"{found.where}: {found.reason}",
            "Right unless somebody shall be answered there: make say plays it while it runs, GENERIC_URL names a real one.",
        )
    return judge(CHECK, target.whose[:1].upper() + target.whose[1:], target.setting, found)


def _is_this_machine(url: str) -> bool:
    return (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1")
