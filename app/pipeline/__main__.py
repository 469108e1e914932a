"""``python -m app.pipeline``: one worker process, set up by :class:`app.settings.WorkerSettings`. Its port is for health."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.auth.roles import Roles, RolesError, load_roles
from app.http.errors import install
from app.http.exposition import exposing
from app.http.health import Verdict, router
from app.http.lifecycle import Lifecycle
from app.http.outbound import client_for
from app.http.serve import ServeError, run, serve
from app.pipeline.answer import AnswerClient
from app.pipeline.metrics import MessageMetrics, QueueMetrics
from app.pipeline.processor import Processor
from app.pipeline.queue import Queue, QueuePolicy, QueueUnavailable
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.pipeline.worker import RELEASE_SECONDS, Worker, WorkerPolicy
from app.platforms.generic import GenericPlatform
from app.platforms.standard_webhooks import SecretError
from app.settings import SettingsError, WorkerSettings, load
from app.tasks.actions import registry
from app.tasks.template import Library, LibraryError, load_library
from app.telemetry.emf import emf_for, emitting
from app.telemetry.logs import configure, get_logger
from app.telemetry.metrics import new_registry

STALLED_SECONDS = 5.0  # the loop turns about every second
EXIT_CONFIGURATION = 2


def main() -> int:
    try:
        settings = load(WorkerSettings, os.environ)
        library = load_library(settings.tasks_directory, registry())
        roles = load_roles(None, registry())
        generic = GenericPlatform.from_settings(settings) if settings.generic_url else None
    except (SettingsError, LibraryError, RolesError) as error:
        print(f"worker: cannot start:\n{error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    except SecretError as error:
        print(f"worker: cannot start:\nGENERIC_WEBHOOK_SECRET: {error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    configure("worker", settings.log_level)
    try:
        return run(work(settings, library, roles, generic))
    except ServeError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 1


async def work(settings: WorkerSettings, library: Library, roles: Roles, generic: GenericPlatform | None) -> int:
    """Build the worker from its parts and run it until it is told to stop."""
    lifecycle = Lifecycle()
    redis = connect(settings)
    queue = RedisQueue(redis, QueuePolicy(lease_seconds=settings.lease_seconds, max_attempts=settings.max_attempts))
    inference = client_for(settings.inference_url)
    answers = AnswerClient(inference, settings.inference_url, settings.inference_api_key, settings.inference_timeout_seconds)
    platforms = {generic.name: generic} if generic else {}
    policy = WorkerPolicy(concurrency=settings.worker_concurrency, lease_seconds=settings.lease_seconds)
    registry = new_registry()
    queue_metrics, message_metrics = QueueMetrics(registry, queue), MessageMetrics(registry, platforms)
    processor = Processor(queue, answers, library, platforms, roles, message_metrics.denied)
    worker = Worker(queue, processor, policy, message_metrics.settled)
    get_logger().info("starting", worker=worker.name, tasks=len(library.templates), platforms=sorted(platforms))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.create_task(worker.run())
        loop.add_done_callback(lambda task: _ended(task, lifecycle))
        stopping = asyncio.create_task(_stop_early(worker, lifecycle))
        yield
        stopping.cancel()
        await worker.drain(0)
        for close in (inference.aclose, redis.close, *([generic.aclose] if generic else [])):
            await close()

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
