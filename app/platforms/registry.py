"""The platforms that a process is set up for, by its settings. A platform's module is imported only then."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.http.outbound import client_for
from app.pipeline.redis_client import RedisClient
from app.platforms.inbound import PlatformEvents
from app.platforms.platform import Platform
from app.platforms.token_wiring import feishu_tokens, slack_tokens
from app.settings import GatewaySettings, SlackSettings, WorkerSettings
from app.telemetry.audit.record import Audit
from app.tenants.access import Access


def receiving(settings: GatewaySettings, previous_used: Callable[[str], None]) -> dict[str, PlatformEvents]:
    """The gateway's halves, by name. ``previous_used`` hears the name of a platform whose request was signed with a secret that
    is being replaced. Raises :class:`app.settings.SettingsError`, :class:`app.platforms.standard_webhooks.SecretError`."""
    found: list[PlatformEvents] = []
    if settings.generic_webhook_secret is not None:
        from app.platforms.generic import GenericEvents
        from app.platforms.standard_webhooks import parse_secrets

        keys = parse_secrets(settings.generic_webhook_secret.get_secret_value())
        found.append(GenericEvents(keys, previous_used=lambda: previous_used("generic")))
    if settings.slack_signing_secret is not None:
        from app.platforms.slack.events import SlackEvents

        found.append(SlackEvents.from_settings(settings, lambda: previous_used("slack")))
    if settings.feishu_verification_token is not None or settings.feishu_encrypt_key is not None:
        from app.platforms.feishu.events import FeishuEvents

        found.append(FeishuEvents.from_settings(settings, lambda: previous_used("feishu")))
    return {platform.name: platform for platform in found}


@asynccontextmanager
async def sending(
    settings: WorkerSettings, redis: RedisClient, access: Callable[[], Access], audit: Audit
) -> AsyncIterator[dict[str, Platform]]:
    """The worker's halves, by name. Raises as :func:`receiving` does."""
    async with contextlib.AsyncExitStack() as open_ones:
        found: list[Platform] = []
        if settings.generic_url is not None:
            from app.platforms.generic import GenericPlatform

            found.append(GenericPlatform.from_settings(settings))
        if sends_to_slack(settings, access()):
            from app.platforms.slack.client import SlackPlatform

            found.append(SlackPlatform.from_settings(settings, await slack_tokens(settings, redis, access, audit, open_ones)))
        if settings.feishu_app_id is not None:
            from app.platforms.feishu.client import FeishuPlatform

            feishu = await feishu_tokens(settings, settings.feishu_app_id, redis, audit, open_ones)
            client = client_for(settings.feishu_url)
            found.append(
                FeishuPlatform(settings.feishu_url, tokens=feishu, client=client, calendar_id=settings.feishu_calendar_id)
            )
        for platform in found:
            open_ones.push_async_callback(platform.aclose)
        yield {platform.name: platform for platform in found}


def sends_to_slack(settings: SlackSettings, access: Access) -> bool:
    referred = any("slack" in tenant.tokens for tenant in access.tenants)
    return settings.slack_bot_token is not None or settings.slack_client_id is not None or referred
