"""How fast the model answers: asked as the pipeline asks it, or, beside the model, by its own metrics."""

from __future__ import annotations

import json
import re
import time
from typing import Any, Final

from app.doctor.finding import Finding, error, note, ok, warning
from app.doctor.place import Place
from app.doctor.reach import judge as judge_reach
from app.doctor.reach import reach
from app.http.outbound import Answer, CallFailed, client_for, get, post

CHECK: Final = "inference"
# Fixed, short and greedy; its answer is timed and thrown away.
BODY: Final = {"prompt": "Say yes.", "max_tokens": 8, "temperature": 0.0}
SLOW_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 20.0  # whoever needs longer for eight tokens gives no long answer in time
SLOW_TOKENS_PER_SECOND: Final = 3.0  # slower than people read
METRIC: Final = "gen_ai_server_time_per_output_token_seconds"
METRICS_SECONDS: Final = 2.0


async def look(place: Place) -> list[Finding]:
    return await (_metrics(place) if place.service == "inference" else _question(place))


async def _question(place: Place) -> list[Finding]:
    settings: Any = place.settings
    reached = await reach(settings.inference_url)
    if reached.stage != "reached":
        return [judge_reach(CHECK, "The inference service", "INFERENCE_URL", reached)]
    key = settings.inference_api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    begun = time.perf_counter()
    limit = min(settings.inference_timeout_seconds, PATIENCE_SECONDS)
    async with client_for(settings.inference_url) as client:
        try:
            answer = await post(
                client, settings.inference_url.rstrip("/") + "/predict", json.dumps(BODY).encode(), headers, limit
            )
        except CallFailed as failure:
            return [unanswered(str(failure), failure.timed_out, limit)]
    return [judge(answer, time.perf_counter() - begun)]


def judge(answer: Answer, seconds: float) -> Finding:
    if 200 <= answer.status < 300:
        evidence = f"{BODY['max_tokens']} tokens at most in {seconds:.2f} s"
        if seconds > SLOW_SECONDS:
            return warning(
                CHECK,
                "The model answers slowly",
                evidence,
                "Is it busy (its metrics tell what runs and waits) or short of cores? A smaller model, more threads, a GPU or "
                "more replicas help (docs/models.md).",
            )
        return ok(CHECK, "The model answers", evidence)
    if answer.status in (401, 403):
        return error(
            CHECK,
            "The inference service does not take our key",
            f"POST /predict: {answer.status}",
            "INFERENCE_API_KEY here and API_KEY there must be one and the same; restart whichever read the old one.",
        )
    if answer.status == 429 or (answer.status == 503 and _code(answer) != "loading"):
        return warning(
            CHECK,
            "The inference service is overloaded or stopping",
            f"POST /predict: {answer.status} {_code(answer)}".strip(),
            "Events wait and are answered later. If it lasts: more replicas, or INFERENCE_SLOTS.",
        )
    return error(
        CHECK,
        "The inference service cannot answer",
        f"POST /predict: {answer.status} {_code(answer)}".strip(),
        "Look at the inference service's own findings: run the doctor beside it.",
    )


def unanswered(failure: str, timed_out: bool, limit: float) -> Finding:
    if timed_out:
        return error(
            CHECK,
            f"The model does not answer within {limit:g} s",
            failure,
            "Its decoding hangs or its queue is long: look at its readiness, and restart it if that does not mend itself.",
        )
    return error(CHECK, "The inference service breaks off", failure, "Look at its log: make logs.")


async def _metrics(place: Place) -> list[Finding]:
    settings: Any = place.settings
    if settings.metrics_port is None:
        return [
            note(CHECK, "Tokens a second are not told here", "METRICS_PORT is not set", "The gateway's doctor times an answer.")
        ]
    url = f"http://127.0.0.1:{settings.metrics_port}/metrics"
    async with client_for(url) as client:
        try:
            answer = await get(client, url, {}, METRICS_SECONDS)
        except CallFailed as failure:
            return [
                warning(CHECK, "The metrics are not served", str(failure), "Is METRICS_PORT free? See the finding of ports.")
            ]
    return [judge_metrics(answer.body.decode("utf-8", "replace"))]


def judge_metrics(text: str) -> Finding:
    total, count = _value(text, f"{METRIC}_sum"), _value(text, f"{METRIC}_count")
    if not count or not total:
        return note(CHECK, "No answer has been generated since the start", f"{METRIC}_count is 0")
    speed = count / total
    evidence = f"{speed:.1f} tokens a second, the mean of {count:.0f} answers since the start"
    if speed < SLOW_TOKENS_PER_SECOND:
        return warning(
            CHECK,
            "The model is slower than people read",
            evidence,
            "More cores (INFERENCE_THREADS), a smaller or quantised model, or a GPU (docs/models.md).",
        )
    return ok(CHECK, "The model's speed", evidence)


def _value(text: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.eE+-]+)$", text, re.MULTILINE))


def _code(answer: Answer) -> str:
    try:
        code = json.loads(answer.body)["error"]["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return code if isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum() and len(code) <= 64 else ""
