"""``python -m app.pipeline``: one worker process, set up by :class:`app.settings.WorkerSettings`. Its port is for health."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from app.http.errors import install
from app.http.exposition import exposing
from app.http.health import Verdict, router
from app.http.lifecycle import Lifecycle
from app.http.outbound import client_for
from app.http.serve import ServeError, run, serve
from app.pipeline.answer import AnswerClient
from app.pipeline.answer_cache import answering
from app.pipeline.conversation import Conversations
from app.pipeline.metrics import MessageMetrics, QueueMetrics
from app.pipeline.pacing import RedisPacer, RedisQuotas
from app.pipeline.processor import Processor
from app.pipeline.queue import Queue, QueuePolicy, QueueUnavailable
from app.pipeline.reconciler import Reconciler
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.pipeline.responder import Responder
from app.pipeline.worker import RELEASE_SECONDS, Worker, WorkerPolicy
from app.platforms.registry import sending
from app.platforms.standard_webhooks import SecretError
from app.settings import SettingsError, WorkerSettings, load
from app.tasks.actions import registry as actions
from app.telemetry.audit.log import auditing
from app.telemetry.audit.notices import Notices
from app.telemetry.audit.record import AuditUnavailable
from app.telemetry.emf import emf_for, emitting
from app.telemetry.logs import configure, get_logger
from app.telemetry.metrics import new_registry
from app.tenants.access import Access, AccessError, Sources
from app.tenants.following import following
from app.tenants.libraries import libraries

STALLED_SECONDS = 5.0  # the loop turns about every second
EXIT_CONFIGURATION = 2


def main() -> int:
    try:
        settings = load(WorkerSettings, os.environ)
        sources = Sources(
            tenants_file=settings.tenants_file,
            roles_file=settings.roles_file,
            actions=actions(),
            libraries=libraries(settings.tasks_directory),
        )
        access = sources.load()
        configure("worker", settings.log_level)
        return run(work(settings, sources, access))
    except (SettingsError, AccessError) as error:
        print(f"worker: cannot start:\n{error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    except SecretError as error:
        print(f"worker: cannot start:\nGENERIC_WEBHOOK_SECRET: {error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    except (ServeError, AuditUnavailable) as error:
        print(f"worker: {error}", file=sys.stderr)
        return 1


async def work(settings: WorkerSettings, sources: Sources, access: Access) -> int:
    """Build the worker from its parts and run it until it is told to stop."""
    lifecycle, registry = Lifecycle(), new_registry()
    async with contextlib.AsyncExitStack() as parts:
        redis = connect(settings)
        parts.push_async_callback(redis.close)
        queue = RedisQueue(redis, QueuePolicy(lease_seconds=settings.lease_seconds, max_attempts=settings.max_attempts))
        audit = await parts.enter_async_context(auditing(settings.audit_directory, redis, registry, "worker"))
        notices = Notices(audit)
        parts.push_async_callback(notices.aclose)
        reloading = await parts.enter_async_context(following(sources, access, audit, registry))
        platforms = await parts.enter_async_context(sending(settings, redis, reloading.access, audit))
        queue_metrics, message_metrics = QueueMetrics(registry, queue), MessageMetrics(registry, platforms)
        inference = client_for(settings.inference_url)
        parts.push_async_callback(inference.aclose)
        client = AnswerClient(inference, settings.inference_url, settings.inference_api_key, settings.inference_timeout_seconds)
        answers = await parts.enter_async_context(
            answering(
                settings,
                client,
                redis=redis,
                inference=inference,
                inference_url=settings.inference_url,
                registry=registry,
                wait_seconds=settings.inference_timeout_seconds,
            )
        )
        responder = Responder(
            access=reloading.access,
            answers=answers,
            conversations=Conversations.from_settings(settings, redis, registry),
            quotas=RedisQuotas(redis, away=message_metrics.quota_uncounted),
            audit=audit,
            notices=notices,
            denied=message_metrics.denied,
        )
        pacer = RedisPacer(redis, away=message_metrics.unpaced)
        processor = Processor(queue, responder, platforms, pacer)
        policy = WorkerPolicy(concurrency=settings.worker_concurrency, lease_seconds=settings.lease_seconds)
        worker = Worker(queue, processor, policy, message_metrics.settled)
        reconciler = Reconciler(queue, platforms, pacer, message_metrics.asked)
        tenants = len(reloading.access().tenants)
        get_logger().info("starting", worker=worker.name, tenants=tenants, platforms=sorted(platforms))
        return await _serve(settings, lifecycle, worker, reconciler, queue, registry, queue_metrics)


async def _serve(
    settings: WorkerSettings,
    lifecycle: Lifecycle,
    worker: Worker,
    reconciler: Reconciler,
    queue: Queue,
    registry: CollectorRegistry,
    queue_metrics: QueueMetrics,
) -> int:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.create_task(worker.run())
        loop.add_done_callback(lambda task: _ended(task, lifecycle))
        beside = [asyncio.create_task(_stop_early(worker, lifecycle)), asyncio.create_task(reconciler.run())]
        yield
        for task in beside:
            task.cancel()
        await worker.drain(0)

    app = FastAPI(title="Worker", lifespan=lifespan, openapi_url=None)
    install(app)
    app.include_router(router(lifecycle, ready=lambda: readiness(worker, queue)))
    # Work is broken off a little before the process must be gone, so that its leases can still be given back.
    finish_seconds = max(settings.drain_seconds - 2 * RELEASE_SECONDS, 0.0)
    async with (
        exposing(registry, settings.host, settings.metrics_port, queue_metrics.refresh),
        emitting(emf_for("worker", settings.emf_namespace, registry), queue_metrics.refresh),
    ):
        return await serve(
            app,
            settings.host,
            settings.port,
            lifecycle=lifecycle,
            drain_seconds=settings.drain_seconds,
            notice_seconds=settings.notice_seconds,
            finish=lambda: worker.drain(finish_seconds),
        )


async def readiness(worker: Worker, queue: Queue) -> Verdict:
    """Ready: the loop turned recently and the queue answers."""
    if worker.idle_seconds > STALLED_SECONDS:
        return Verdict(f"the worker's loop has not turned for {worker.idle_seconds:.0f} s")
    try:
        stats = await queue.stats()
    except QueueUnavailable as error:
        return Verdict(f"the queue is away: {error}")
    details = {"backlog": stats.backlog, "in_flight": worker.in_flight, "dead": stats.dead, "unknown": stats.unknown}
    return Verdict(details=details)


async def _stop_early(worker: Worker, lifecycle: Lifecycle) -> None:
    """The notice is for those who send; a worker fetches, so it takes no event more from the first signal on."""
    await lifecycle.draining.wait()
    worker.stop()


def _ended(loop: asyncio.Task[None], lifecycle: Lifecycle) -> None:
    """The loop ends when the process stops; if it fails, the process stops, and its supervisor starts another."""
    if not loop.cancelled() and (error := loop.exception()):
        get_logger().error("the worker's loop failed", type=type(error).__name__)
        lifecycle.stop(exit_code=1)


if __name__ == "__main__":
    sys.exit(main())
