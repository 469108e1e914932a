"""Whether each platform takes the credentials: found out by using them, on calls that change nothing."""

from __future__ import annotations

from typing import Any, Final

from app.doctor.checks.network import targets
from app.doctor.finding import Finding, error, note, ok, warning
from app.doctor.place import Place
from app.doctor.reach import reach
from app.http.outbound import client_for

CHECK: Final = "tokens"


async def look(place: Place) -> list[Finding]:
    """Of platforms that are reached; of the others the check of the network has said why not."""
    settings: Any = place.settings
    found: list[Finding] = []
    for target in targets(place):
        if (await reach(target.url)).stage != "reached":
            continue
        if target.setting == "SLACK_API_URL":
            found += await _slack(place, settings)
        elif target.setting == "FEISHU_URL":
            found += await _feishu(settings)
        elif settings.generic_client_secret is not None:
            found += await _generic(settings)
    return found or [ok(CHECK, "No credentials of a platform to try here")]


async def _slack(place: Place, settings: Any) -> list[Finding]:
    from app.platforms.slack.connect import CheckFailed, check_app_token, identify
    from app.platforms.slack.web_api import WebApi

    async with client_for(settings.slack_api_url) as client:
        api = WebApi(settings.slack_api_url, client)
        try:
            if place.service == "transport":
                await check_app_token(api, settings.slack_app_token.get_secret_value())
                return [ok(CHECK, "Slack takes the app-level token", "apps.connections.open")]
            bot_token = getattr(settings, "slack_bot_token", None)
            if bot_token is None:
                return [note(CHECK, "Each team's Slack token is its own", "stored when the team installed the application")]
            who = await identify(api, bot_token.get_secret_value())
        except CheckFailed as failed:
            return [judge("Slack", failed.field, str(failed), passing=failed.passing)]
    return [ok(CHECK, "Slack takes the bot token", f"auth.test: team {who.team}, bot {who.bot_user}, no scope lacks")]


async def _feishu(settings: Any) -> list[Finding]:
    from app.platforms.feishu.connect import CheckFailed, identify

    async with client_for(settings.feishu_url) as client:
        try:
            who = await identify(settings, client)
        except CheckFailed as failed:
            return [judge("Feishu", failed.field, str(failed), passing=failed.passing)]
    return [ok(CHECK, "Feishu takes the application's secret", f"bot {who.open_id} is active, no permission lacks")]


async def _generic(settings: Any) -> list[Finding]:
    from app.auth.access_tokens import AccessTokenRefused, AccessTokenUnavailable
    from app.auth.grants import ClientCredentials
    from app.auth.token_endpoint import TokenEndpoint

    url, secret = settings.generic_url.rstrip("/") + "/oauth/token", settings.generic_client_secret.get_secret_value()
    async with client_for(url) as client:
        try:
            await TokenEndpoint(client, url, settings.generic_client_id, secret).fetch(ClientCredentials())
        except AccessTokenRefused as failed:
            return [judge("the generic platform", "GENERIC_CLIENT_SECRET", str(failed), passing=False)]
        except AccessTokenUnavailable as failed:
            return [judge("the generic platform", "GENERIC_URL", str(failed), passing=True)]
    return [ok(CHECK, "The generic platform takes the client's secret", f"POST {url}")]


def judge(platform: str, field: str, message: str, *, passing: bool) -> Finding:
    """``message``: of CheckFailed, which names the field and says what to do; ``passing``: as there."""
    if passing:
        return warning(
            CHECK,
            f"{platform[:1].upper()}{platform[1:]} does not say now whether it takes the credentials",
            message,
            "Try again.",
        )
    what = f"{platform[:1].upper()}{platform[1:]} refuses: {field} is wrong"
    return error(
        CHECK, what, message, f"Correct {field}, and see it whole with make connect; then bring the stack up: make up."
    )
