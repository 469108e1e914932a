"""The installer that a gateway's settings describe."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from app.auth.installation import InstallationDialect, InstallationStates, Installer
from app.auth.token_store import TokenStore
from app.http.outbound import client_for
from app.pipeline.redis_client import RedisClient
from app.platforms.token_wiring import feishu_secret, vault_of
from app.settings import GatewaySettings
from app.telemetry.audit.record import Audit
from app.tenants.access import Access


async def installer_of(
    settings: GatewaySettings, redis: RedisClient, access: Callable[[], Access], audit: Audit, open_ones: AsyncExitStack
) -> Installer | None:
    """None: nothing can be installed, for want of PUBLIC_URL, of TOKEN_KEY, or of an application's id and secret."""
    if settings.public_url is None or settings.token_key is None:
        return None
    dialects: list[InstallationDialect] = []
    if settings.slack_client_id is not None and settings.slack_client_secret is not None:
        from app.auth.installation_slack import SlackInstallation

        dialects.append(
            SlackInstallation(
                await open_ones.enter_async_context(client_for(settings.slack_api_url)),
                client_id=settings.slack_client_id,
                client_secret=settings.slack_client_secret.get_secret_value(),
                api_url=settings.slack_api_url,
                authorize_url=settings.slack_authorize_url,
            )
        )
    if settings.feishu_app_id is not None and settings.feishu_app_secret is not None:
        from app.auth.installation_feishu import FeishuInstallation

        dialects.append(
            FeishuInstallation(
                await open_ones.enter_async_context(client_for(settings.feishu_url)),
                app_id=settings.feishu_app_id,
                app_secret=feishu_secret(settings),
                url=settings.feishu_url,
                accounts_url=settings.feishu_accounts_url,
            )
        )
    if not dialects:
        return None

    def tenant_of(platform: str, team: str) -> str | None:
        tenant = access().tenants.of(platform, team)
        return tenant.name if tenant else None

    vault = vault_of(settings.token_key)
    installer = Installer(
        settings.public_url,
        dialects,
        states=InstallationStates(redis, vault),
        store=TokenStore(redis, vault),
        tenant_of=tenant_of,
        audit=audit,
    )
    open_ones.push_async_callback(installer.aclose)
    return installer
