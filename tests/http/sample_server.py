"""A small service on app.http, run as a process by the tests: ``python sample_server.py PORT [CERTIFICATE KEY]``.

SAMPLE holds a JSON object: ``limits`` for Limits, ``drain_seconds``, ``notice_seconds``, ``finish_seconds``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.http import body, errors, health
from app.http.lifecycle import Lifecycle
from app.http.protocol import Limits
from app.http.serve import ServeError, run, serve, tls_context
from app.telemetry import logs


class Wanted(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    name: str
    count: int | None = None


def make(lifecycle: Lifecycle) -> FastAPI:
    app = FastAPI()
    errors.install(app)
    app.include_router(health.router(lifecycle))

    @app.post("/echo")
    async def echo(request: Request) -> object:
        return await body.read_json(request, 1000)

    @app.post("/model")
    async def model(request: Request) -> Wanted:
        return await body.read_model(request, Wanted, 1000)

    @app.get("/slow/{seconds}")
    async def slow(seconds: float) -> dict[str, float]:
        await asyncio.sleep(seconds)
        return {"slept": seconds}

    @app.get("/busy")
    async def busy() -> None:
        raise errors.ApiError(503, "overloaded", "come again", retry_after=1.2)

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout")

    @app.get("/boom")
    async def boom() -> None:
        canary = "canary-in-a-local-variable"
        raise RuntimeError("boom" + canary[:0])

    return app


def main() -> int:
    logs.configure("sample")
    settings = json.loads(os.environ.get("SAMPLE", "{}"))
    lifecycle = Lifecycle()

    async def finish() -> None:
        await asyncio.sleep(settings.get("finish_seconds", 0))

    try:
        tls = tls_context(Path(sys.argv[2]), Path(sys.argv[3])) if len(sys.argv) > 2 else None
        return run(
            serve(
                make(lifecycle),
                "127.0.0.1",
                int(sys.argv[1]),
                lifecycle=lifecycle,
                tls=tls,
                limits=Limits(**settings.get("limits", {})),
                drain_seconds=settings.get("drain_seconds", 10),
                notice_seconds=settings.get("notice_seconds", 0),
                finish=finish,
            )
        )
    except ServeError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
