"""The HTTP surface: ``POST /predict`` and the probes, in front of one engine."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import sys
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.auth.api_keys import ApiKeys
from app.http import errors, health
from app.http.bearer import require_key
from app.http.body import openapi, read_model
from app.http.errors import ApiError
from app.http.health import Verdict
from app.http.lifecycle import Lifecycle
from app.inference.admission import Admission, Prediction, PredictRequest, answer_tokens, body_limit
from app.inference.errors import StartError
from app.inference.metrics import InferenceMetrics
from app.inference.model import Model, load
from app.inference.sequence import Sequence
from app.settings import InferenceSettings
from app.telemetry.logs import get_logger

EXIT_REFUSED = 2  # settings or model do not allow serving: a restart would not help
EXIT_FAILED = 3  # loading failed for an unforeseen reason; the log has the traceback
STALLED_SECONDS = 10.0  # without a step while work waits: not ready; a step takes well under a second
STUCK_SECONDS = 60.0  # likewise: not alive, so that whoever supervises the process restarts it
STOP_SECONDS = 2.0  # for the engine's thread at the end
INLINE_CHARACTERS = 4096  # up to here tokenising costs the event loop less than a thread's hand-over is worth
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Service:
    """The model, once it is loaded, and who may use it."""

    def __init__(self, settings: InferenceSettings, lifecycle: Lifecycle, metrics: InferenceMetrics) -> None:
        self._settings, self._lifecycle, self._metrics = settings, lifecycle, metrics
        self._keys = ApiKeys.parse(settings.api_key.get_secret_value())
        self._admission = Admission(settings.inference_slots + settings.inference_queue_limit)
        self.model: Model | None = None
        metrics.follow(lambda: self.model.engine if self.model else None, settings.inference_slots)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Probes answer while the model loads; a model that cannot be served stops the process."""
        loading = asyncio.create_task(self._load())
        yield
        loading.cancel()
        if self.model is not None:
            await asyncio.to_thread(self.model.engine.stop, STOP_SECONDS)

    async def _load(self) -> None:
        try:
            self.model = await _in_daemon(load, self._settings)
        except StartError as error:
            print(f"inference: cannot start: {error}", file=sys.stderr)
            self._lifecycle.stop(EXIT_REFUSED)
        except Exception:
            get_logger().exception("loading the model failed")
            self._lifecycle.stop(EXIT_FAILED)

    async def ready(self) -> Verdict:
        if self.model is None:
            return Verdict("the model is being loaded")
        return Verdict(self._fault(STALLED_SECONDS), self._identity(self.model))

    async def live(self) -> Verdict:
        return Verdict(self._fault(STUCK_SECONDS))

    def _fault(self, patience: float) -> str | None:
        if self.model is None:
            return None
        engine = self.model.engine
        if not engine.alive:
            return "the decode thread has ended"
        stalled = engine.stalled_seconds()
        return f"no token for {stalled:.0f} s while requests run" if stalled > patience else None

    def _identity(self, model: Model) -> dict[str, object]:
        manifest = model.manifest
        return {
            "model": manifest.name,
            "digest": manifest.digest,
            "precision": manifest.precision,
            "context": model.context,
            "running": model.engine.running,
            "admitted": self._admission.count,
        }

    async def model_ready(self, name: str) -> JSONResponse:
        """The Open Inference Protocol's question about one model."""
        if self.model is None or name != self.model.manifest.name:
            raise ApiError(404, "model_not_found", "no model of this name is served here", param="name")
        fault = self._fault(STALLED_SECONDS)
        return JSONResponse({"name": name, "ready": fault is None, "reason": fault}, 200 if fault is None else 503)

    async def predict(self, request: Request) -> Response:
        """Answer one prompt. 400 names what is wrong with it, 503 asks to come again."""
        given = request.headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        try:
            with self._metrics.request():
                return await self._answer(request, request_id)
        except ApiError as error:
            error.headers["X-Request-Id"] = request_id
            raise

    async def _answer(self, request: Request, request_id: str) -> Response:
        try:
            require_key(self._keys, request)
            sequence = await self._generate(request)
        except ApiError as error:
            get_logger().info("request refused", request=request_id, status=error.status, code=error.code)
            raise
        _record(sequence, request_id)
        self._metrics.answered(sequence)
        assert self.model is not None  # noqa: S101 (a sequence is the model's)
        # Who keeps answers must know whose they are.
        headers = {"X-Request-Id": request_id, "X-Model-Digest": self.model.manifest.digest}
        return JSONResponse({"prediction": self._text(sequence)}, headers=headers)

    async def _generate(self, request: Request) -> Sequence:
        """Admit the request and run it to its end, whatever that is."""
        model = self.model
        if model is None:
            raise ApiError(503, "loading", "the model is being loaded: try again shortly", retry_after=1)
        wanted = await read_model(request, PredictRequest, body_limit(model.context))
        with self._admission.place():
            if len(wanted.prompt) > INLINE_CHARACTERS:
                prompt = await asyncio.to_thread(model.tokenizer.encode, wanted.prompt)
            else:
                prompt = model.tokenizer.encode(wanted.prompt)
            limit = self._settings.inference_max_tokens
            max_tokens = answer_tokens(len(prompt), wanted.max_tokens, context=model.context, limit=limit)
            sequence = model.sequence(prompt, max_tokens, wanted.temperature or 0.0)
            await _finished(model, sequence, request)
        return sequence

    def _text(self, sequence: Sequence) -> str:
        assert self.model is not None  # noqa: S101 (a sequence is the model's)
        if sequence.finish_reason == "cancelled":
            # Either nobody is there to read this, or the drain's time is over.
            raise ApiError(503, "cancelled", "the request was cancelled: this process is about to stop", retry_after=1)
        if sequence.finish_reason == "error":
            raise ApiError(500, "generation_failed", "the model failed on this prompt; the operator's log has the cause")
        return self.model.tokenizer.decode(sequence.generated)


def create_app(settings: InferenceSettings, lifecycle: Lifecycle, metrics: InferenceMetrics) -> FastAPI:
    service = Service(settings, lifecycle, metrics)
    app = FastAPI(title="Inference", description="Answers a prompt with the bundled model.", lifespan=service.lifespan)
    errors.install(app)
    app.include_router(health.router(lifecycle, service.ready, service.live))
    app.add_api_route("/v2/models/{name}/ready", service.model_ready, tags=["health"], summary="One model ready for work")
    app.add_api_route(
        "/predict",
        service.predict,
        methods=["POST"],
        summary="Answer a prompt",
        response_model=Prediction,
        openapi_extra=openapi(PredictRequest),
        # For /docs alone: the check itself is the service's, with the one error body.
        dependencies=[Depends(HTTPBearer(auto_error=False, description="the API key"))],
    )
    return app


async def _in_daemon(work: Callable[[InferenceSettings], Model], settings: InferenceSettings) -> Model:
    """Run ``work`` on a thread that a SIGTERM need not wait for, as it would for the event loop's own."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Model] = loop.create_future()

    def settle(settling: Callable[[], None]) -> None:
        if not result.done():
            settling()

    def run() -> None:
        try:
            model = work(settings)
            settling = partial(result.set_result, model)
        except Exception as error:
            settling = partial(result.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, settling)

    threading.Thread(target=run, name="load", daemon=True).start()
    return await result


async def _finished(model: Model, sequence: Sequence, request: Request) -> None:
    """Run ``sequence`` to its end; the caller's going away ends it at once."""
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not finished.done():
            finished.set_result(None)

    def on_finish(_sequence: Sequence) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is leaving
            loop.call_soon_threadsafe(settle)

    model.engine.submit(sequence, on_finish)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({finished, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not finished.done():
            model.engine.cancel(sequence)
            await finished  # the slot is free, and so is the place
    finally:
        gone.cancel()
        if not finished.done():
            model.engine.cancel(sequence)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _record(sequence: Sequence, request_id: str) -> None:
    """The one record of a request: counts and durations, never its text."""

    def since_arrival(moment: float | None) -> float | None:
        return None if moment is None else round(moment - sequence.arrived_at, 4)

    get_logger().info(
        "request",
        request=request_id,
        prompt_tokens=len(sequence.prompt),
        generated_tokens=len(sequence.generated),
        queue_seconds=since_arrival(sequence.started_at),
        first_token_seconds=since_arrival(sequence.first_token_at),
        total_seconds=since_arrival(sequence.finished_at),
        finish_reason=sequence.finish_reason,
    )
