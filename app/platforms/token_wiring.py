"""Where each platform's tokens come from, put together from a process's settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AsyncExitStack

from pydantic import SecretStr

from app.auth.access_tokens import AccessTokens
from app.auth.renewal import FeishuRenewal, SlackRenewal
from app.auth.shared_tokens import SharedTokens
from app.auth.static_tokens import StaticTokens
from app.auth.tenant_tokens import TenantTokens
from app.auth.token_endpoint import TokenEndpoint
from app.auth.token_store import TokenStore
from app.auth.vault import Vault, parse_key
from app.http.outbound import client_for
from app.pipeline.redis_client import RedisClient
from app.platforms.secret_set import parse_set
from app.settings import FeishuSettings, SettingsError, SlackSettings, WorkerSettings
from app.telemetry.audit.record import Audit
from app.tenants.access import Access

SLACK_TOKEN_METHOD = "oauth.v2.access"  # noqa: S105 a method of Slack's API
FEISHU_TOKEN_PATH = "/open-apis/auth/v3/tenant_access_token/internal"  # noqa: S105
SLACK_INSTALLATION = "open /oauth/slack/start of this assistant there"


async def slack_tokens(
    settings: WorkerSettings, redis: RedisClient, access: Callable[[], Access], audit: Audit, open_ones: AsyncExitStack
) -> AccessTokens:
    """A tenant's own; else what its team has installed, renewed where Slack rotates tokens; else SLACK_BOT_TOKEN."""
    bot_token = settings.slack_bot_token
    static = StaticTokens("slack", "SLACK_BOT_TOKEN", bot_token.get_secret_value()) if bot_token else None
    others: AccessTokens | None = static
    if settings.token_key is not None:
        endpoint = await slack_endpoint(settings, open_ones)
        store = TokenStore(redis, vault_of(settings.token_key))
        others = SharedTokens(
            "slack",
            SlackRenewal(),
            endpoint=endpoint,
            store=store,
            fallback=static,
            how_to_install=SLACK_INSTALLATION,
            audit=audit,
        )
    return TenantTokens("slack", access, others, os.environ)


async def slack_endpoint(settings: SlackSettings, open_ones: AsyncExitStack) -> TokenEndpoint | None:
    client_id, client_secret = settings.slack_client_id, settings.slack_client_secret
    if client_id is None or client_secret is None:
        return None
    client = await open_ones.enter_async_context(client_for(settings.slack_api_url))
    url = f"{settings.slack_api_url.rstrip('/')}/{SLACK_TOKEN_METHOD}"
    return TokenEndpoint(client, url, client_id, client_secret.get_secret_value())


async def feishu_tokens(
    settings: WorkerSettings, app_id: str, redis: RedisClient, audit: Audit, open_ones: AsyncExitStack
) -> AccessTokens:
    """The application's token in each team, shared by all processes where TOKEN_KEY seals it; else one for each process."""
    client = await open_ones.enter_async_context(client_for(settings.feishu_url))
    endpoint = TokenEndpoint(client, settings.feishu_url.rstrip("/") + FEISHU_TOKEN_PATH, app_id, feishu_secret(settings))
    store = TokenStore(redis, vault_of(settings.token_key)) if settings.token_key is not None else None
    return SharedTokens("feishu", FeishuRenewal(), endpoint=endpoint, store=store, audit=audit)


def feishu_secret(settings: FeishuSettings) -> str:
    """Raises :class:`app.settings.SettingsError`."""
    if settings.feishu_app_secret is None:
        raise SettingsError("FEISHU_APP_ID and FEISHU_APP_SECRET are required together")
    return settings.feishu_app_secret.get_secret_value()


def vault_of(keys: SecretStr) -> Vault:
    """TOKEN_KEY. Raises :class:`app.settings.SettingsError`."""
    try:
        return Vault(parse_set(keys.get_secret_value(), parse_key))
    except ValueError as error:
        raise SettingsError(str(error)) from None
