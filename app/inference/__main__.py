"""``python -m app.inference``: exit 0 after a clean drain, 1 when it was forced, 2 when settings or model are refused, 3 when
loading failed for an unforeseen reason."""

from __future__ import annotations

import os
import sys

from app.auth.api_keys import ApiKeyError
from app.http.exposition import exposing
from app.http.lifecycle import Lifecycle
from app.http.serve import ServeError, run, serve
from app.inference.metrics import InferenceMetrics
from app.inference.server import EXIT_REFUSED, create_app
from app.settings import InferenceSettings, SettingsError, load
from app.telemetry import logs
from app.telemetry.emf import emf_for, emitting, ignore
from app.telemetry.metrics import new_registry


def main() -> int:
    try:
        settings = load(InferenceSettings, os.environ)
    except SettingsError as error:
        print(f"inference: wrong settings:\n{error}", file=sys.stderr)
        return EXIT_REFUSED
    logs.configure("inference", settings.log_level)
    try:
        return run(_serve(settings))
    except (ApiKeyError, ServeError) as error:
        print(f"inference: {error}", file=sys.stderr)
        return EXIT_REFUSED


async def _serve(settings: InferenceSettings) -> int:
    lifecycle, registry = Lifecycle(), new_registry()
    emf = emf_for("inference", settings.emf_namespace, registry)
    metrics = InferenceMetrics(registry, emf.observer("TimeToFirstTokenSeconds") if emf else ignore)
    app = create_app(settings, lifecycle, metrics)
    async with exposing(registry, settings.host, settings.metrics_port), emitting(emf):
        return await serve(
            app,
            settings.host,
            settings.port,
            lifecycle=lifecycle,
            drain_seconds=settings.drain_seconds,
            notice_seconds=settings.notice_seconds,
        )


if __name__ == "__main__":
    sys.exit(main())
