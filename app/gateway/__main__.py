"""``python -m app.gateway``: webhooks and the answer API over TLS, with the settings of the environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING

from app.auth.api_keys import ApiKeyError, ApiKeys
from app.auth.identity import Identities
from app.gateway.application import create_app
from app.gateway.callers import Callers
from app.gateway.certificate import follow
from app.gateway.metrics import GatewayMetrics
from app.gateway.readiness import Readiness
from app.http.exposition import exposing
from app.http.lifecycle import Lifecycle
from app.http.outbound import client_for
from app.http.serve import ServeError, run, serve, tls_context
from app.pipeline.answer import AnswerClient
from app.pipeline.metrics import QueueMetrics
from app.pipeline.queue import QueuePolicy
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.platforms.generic import GenericEvents
from app.platforms.standard_webhooks import SecretError, parse_secrets
from app.settings import GatewaySettings, SettingsError, load
from app.tasks.actions import registry as actions
from app.telemetry.emf import emf_for, emitting, ignore
from app.telemetry.logs import configure, get_logger
from app.telemetry.metrics import new_registry
from app.tenants.access import AccessError, Sources
from app.tenants.reloading import Reloading

if TYPE_CHECKING:
    from app.auth.bearer_tokens import BearerTokens

EXIT_CONFIGURATION = 2


async def main(settings: GatewaySettings) -> int:
    keys = ApiKeys.parse(settings.api_key.get_secret_value())
    sources = Sources(tenants_file=settings.tenants_file, roles_file=settings.roles_file, actions=actions())
    reloading = Reloading(sources, sources.load())
    tokens = _tokens(settings)
    platforms = {}
    if settings.generic_webhook_secret is not None:
        events = GenericEvents(parse_secrets(settings.generic_webhook_secret.get_secret_value()))
        platforms[events.name] = events
    certificate, private_key = settings.tls_certificate, settings.tls_private_key
    if (certificate is None) != (private_key is None):
        raise SettingsError("TLS_CERTIFICATE and TLS_PRIVATE_KEY are required together")
    if settings.tls_self_signed and certificate is not None:
        raise SettingsError("TLS_SELF_SIGNED and TLS_CERTIFICATE are both set: keep one")
    tls = tls_context(certificate, private_key) if certificate and private_key else None
    if settings.tls_self_signed:
        from app.gateway.self_signed import self_signed_context  # cryptography: a gateway with a certificate does without it

        tls = self_signed_context()
    if tls is None:
        get_logger().warning("no_tls", hint="set TLS_CERTIFICATE and TLS_PRIVATE_KEY unless a proxy ends TLS")

    lifecycle = Lifecycle()
    registry = new_registry()
    emf = emf_for("gateway", settings.emf_namespace, registry)
    redis = connect(settings)
    queue = RedisQueue(redis, QueuePolicy(limit=settings.queue_limit))
    queue_metrics = QueueMetrics(registry, queue)
    async with client_for(settings.inference_url) as http:
        app = create_app(
            callers=Callers(Identities(keys, reloading.access, tokens), reloading.access),
            platforms=platforms,
            queue=queue,
            answerer=AnswerClient(http, settings.inference_url, settings.inference_api_key, settings.inference_timeout_seconds),
            readiness=Readiness(redis, http, settings.inference_url),
            lifecycle=lifecycle,
            metrics=GatewayMetrics(registry, emf.observer("ApiSeconds") if emf else ignore),
        )
        following = [asyncio.create_task(reloading.run())]
        if tls and certificate and private_key:
            following.append(asyncio.create_task(follow(tls, certificate, private_key)))
        try:
            async with (
                exposing(registry, settings.host, settings.metrics_port, queue_metrics.refresh),
                emitting(emf, queue_metrics.refresh),
            ):
                return await serve(
                    app,
                    settings.host,
                    settings.port,
                    lifecycle=lifecycle,
                    tls=tls,
                    drain_seconds=settings.drain_seconds,
                    notice_seconds=settings.notice_seconds,
                )
        finally:
            for task in following:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            if tokens is not None:
                await tokens.aclose()
            await redis.close()


def _tokens(settings: GatewaySettings) -> BearerTokens | None:
    if settings.oidc_issuer is None and settings.oidc_audience is None:
        return None
    from app.auth.bearer_tokens import BearerTokens  # PyJWT: a gateway without an identity provider does without it

    return BearerTokens.from_settings(settings)


if __name__ == "__main__":
    configure("gateway")
    try:
        settings = load(GatewaySettings, os.environ)
        configure("gateway", settings.log_level)
        code = run(main(settings))
    except (SettingsError, AccessError, ApiKeyError, SecretError, ServeError) as error:
        print(f"gateway: {error}", file=sys.stderr)
        code = EXIT_CONFIGURATION
    sys.exit(code)
