"""``python -m app.gateway``: webhooks and the answer API over TLS, with the settings of the environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from app.auth.api_keys import ApiKeyError, ApiKeys
from app.auth.identity import Identities
from app.gateway.application import create_app
from app.gateway.callers import Callers
from app.gateway.certificate import follow
from app.gateway.installing import installer_of
from app.gateway.metrics import GatewayMetrics
from app.gateway.readiness import Readiness
from app.gateway.refusals import Refusals
from app.http.exposition import exposing
from app.http.lifecycle import Lifecycle
from app.http.outbound import client_for
from app.http.serve import ServeError, run, serve, tls_context
from app.pipeline.answer import AnswerClient
from app.pipeline.answer_cache import answering
from app.pipeline.instructed import InstructedAnswers
from app.pipeline.metrics import QueueMetrics
from app.pipeline.queue import QueuePolicy
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.platforms.registry import receiving
from app.platforms.standard_webhooks import SecretError
from app.settings import GatewaySettings, SettingsError, load
from app.tasks.actions import registry as actions
from app.telemetry.audit.actions import SECRET_PREVIOUS_USED
from app.telemetry.audit.log import auditing
from app.telemetry.audit.notices import Notices
from app.telemetry.audit.record import AuditUnavailable
from app.telemetry.emf import emf_for, emitting, ignore
from app.telemetry.logs import configure, get_logger
from app.telemetry.metrics import new_registry
from app.tenants.access import Access, AccessError, Sources
from app.tenants.following import following

if TYPE_CHECKING:
    from app.auth.bearer_tokens import BearerTokens

EXIT_CONFIGURATION = 2


async def main(settings: GatewaySettings) -> int:
    operator = ApiKeys.parse(settings.api_key.get_secret_value())
    sources = Sources(tenants_file=settings.tenants_file, roles_file=settings.roles_file, actions=actions())
    loaded, bearers, tls = sources.load(), bearer_tokens(settings), tls_of(settings)
    lifecycle, registry = Lifecycle(), new_registry()
    emf = emf_for("gateway", settings.emf_namespace, registry)
    metrics = GatewayMetrics(registry, emf.observer("ApiSeconds") if emf else ignore)
    async with contextlib.AsyncExitStack() as parts:
        redis = connect(settings)
        parts.push_async_callback(redis.close)
        queue = RedisQueue(redis, QueuePolicy(limit=settings.queue_limit))
        queue_metrics = QueueMetrics(registry, queue)
        audit = await parts.enter_async_context(auditing(settings.audit_directory, redis, registry, "gateway"))
        notices = Notices(audit)
        parts.push_async_callback(notices.aclose)
        access = (await parts.enter_async_context(following(sources, loaded, audit, registry))).access
        if bearers is not None:
            parts.push_async_callback(bearers.aclose)

        def previous_used(platform: str) -> None:
            metrics.previous_secret_used(platform)
            notices.note(SECRET_PREVIOUS_USED, reason="previous_secret", platform=platform, outcome="done")

        http = await parts.enter_async_context(client_for(settings.inference_url))
        client = AnswerClient(http, settings.inference_url, settings.inference_api_key, settings.inference_timeout_seconds)
        answers = await parts.enter_async_context(
            answering(
                settings,
                client,
                redis=redis,
                inference=http,
                inference_url=settings.inference_url,
                registry=registry,
                wait_seconds=settings.inference_timeout_seconds,
            )
        )
        app = create_app(
            callers=Callers(Identities(operator, access, bearers), access),
            platforms=receiving(settings, previous_used),
            queue=queue,
            answerer=InstructedAnswers(answers, instructions_of(access)),
            readiness=Readiness(redis, http, settings.inference_url),
            lifecycle=lifecycle,
            metrics=metrics,
            refused=Refusals(registry, notices),
            tenants=lambda: access().tenants,
            audit=audit,
            installer=await installer_of(settings, redis, access, audit, parts),
        )
        if tls and settings.tls_certificate and settings.tls_private_key:
            await parts.enter_async_context(_renewing(tls, settings))
        await parts.enter_async_context(exposing(registry, settings.host, settings.metrics_port, queue_metrics.refresh))
        await parts.enter_async_context(emitting(emf, queue_metrics.refresh))
        return await serve(
            app,
            settings.host,
            settings.port,
            lifecycle=lifecycle,
            tls=tls,
            drain_seconds=settings.drain_seconds,
            notice_seconds=settings.notice_seconds,
        )


def tls_of(settings: GatewaySettings) -> ssl.SSLContext | None:
    """Raises :class:`app.settings.SettingsError`, :class:`app.http.serve.ServeError`."""
    certificate, private_key = settings.tls_certificate, settings.tls_private_key
    if (certificate is None) != (private_key is None):
        raise SettingsError("TLS_CERTIFICATE and TLS_PRIVATE_KEY are required together")
    if settings.tls_self_signed and certificate is not None:
        raise SettingsError("TLS_SELF_SIGNED and TLS_CERTIFICATE are both set: keep one")
    if certificate and private_key:
        return tls_context(certificate, private_key)
    if settings.tls_self_signed:
        from app.gateway.self_signed import self_signed_context  # cryptography: a gateway with a certificate does without it

        return self_signed_context()
    get_logger().warning("no_tls", hint="set TLS_CERTIFICATE and TLS_PRIVATE_KEY unless a proxy ends TLS")
    return None


def bearer_tokens(settings: GatewaySettings) -> BearerTokens | None:
    """None where no identity provider is set up. Raises :class:`app.settings.SettingsError`."""
    if settings.oidc_issuer is None and settings.oidc_audience is None and settings.oidc_jwks_url is None:
        return None
    from app.auth.bearer_tokens import BearerTokens  # PyJWT: a gateway without an identity provider does without it

    return BearerTokens.from_settings(settings)


def instructions_of(access: Callable[[], Access]) -> Callable[[str], str]:
    """A tenant's instructions, by its name."""

    def found(name: str) -> str:
        tenant = access().tenants.named(name)
        return tenant.instructions if tenant else ""

    return found


@contextlib.asynccontextmanager
async def _renewing(tls: ssl.SSLContext, settings: GatewaySettings) -> AsyncIterator[None]:
    assert settings.tls_certificate and settings.tls_private_key  # noqa: S101 (the caller has looked)
    task = asyncio.create_task(follow(tls, settings.tls_certificate, settings.tls_private_key))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


if __name__ == "__main__":
    configure("gateway")
    try:
        settings = load(GatewaySettings, os.environ)
        configure("gateway", settings.log_level)
        code = run(main(settings))
    except (SettingsError, ApiKeyError, SecretError, AccessError, ServeError) as error:
        print(f"gateway: {error}", file=sys.stderr)
        code = EXIT_CONFIGURATION
    except AuditUnavailable as error:
        print(f"gateway: {error}", file=sys.stderr)
        code = 1
    sys.exit(code)
