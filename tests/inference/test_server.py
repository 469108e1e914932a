from __future__ import annotations

import json
import random
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psutil
import pytest
from tokenizers import Tokenizer

LONG = 15_000  # tokens: many seconds on the tiny model


def post(service, content: bytes, **headers: str) -> httpx2.Response:
    return httpx2.post(service.url + "/predict", content=content, headers={**service.headers, **headers}, timeout=30)


def test_a_prompt_is_answered(tiny) -> None:
    response = tiny.predict("Hi", max_tokens=8)
    assert response.status_code == 200
    assert list(response.json()) == ["prediction"]
    assert response.json()["prediction"]


def test_an_answer_names_the_model_that_gave_it(tiny, tiny_int8) -> None:
    manifest = json.loads((tiny_int8 / "manifest.json").read_text())
    assert tiny.predict("Hi", max_tokens=1).headers["X-Model-Digest"] == manifest["digest"]


def test_max_tokens_bounds_the_answer_and_greedy_answers_are_the_same_again(tiny) -> None:
    short, long = tiny.text("Hi", max_tokens=5), tiny.text("Hi", max_tokens=40)
    assert short == tiny.text("Hi", max_tokens=5, temperature=0)
    assert len(short) < len(long)


def test_temperature_varies_the_answer(tiny) -> None:
    assert len({tiny.text("Hi", max_tokens=30, temperature=1.5) for _ in range(4)}) > 1


def test_every_request_has_one_record_with_its_figures_and_without_its_text(tiny) -> None:
    canary = "canary-4711"
    response = tiny.predict(canary, max_tokens=7)
    request = response.headers["X-Request-Id"]
    record = tiny.await_record(lambda record: record.get("request") == request)
    assert record["event"] == "request"
    assert (record["generated_tokens"], record["finish_reason"]) == (7, "length")
    assert record["prompt_tokens"] > len(canary)
    assert 0 <= record["queue_seconds"] <= record["first_token_seconds"] <= record["total_seconds"]
    tiny.predict(canary, max_tokens=-1)
    tiny.predict(canary, **{canary: 1})
    log = tiny.log.read_text()
    assert canary not in log
    assert response.json()["prediction"] not in log
    assert "key-of-the-tests" not in log


def test_a_callers_request_id_is_kept_and_a_hostile_one_is_not(tiny) -> None:
    def named(name: str) -> str:
        body = json.dumps({"prompt": "Hi", "max_tokens": 1}).encode()
        return str(post(tiny, body, **{"X-Request-Id": name}).headers["X-Request-Id"])

    assert named("abc-1.2_3") == "abc-1.2_3"
    assert named("a b;c") != "a b;c"
    assert len(named("x" * 1000)) < 65


@pytest.mark.parametrize("path", ["/healthz", "/health", "/v2/health/live"])
def test_it_is_alive(tiny, path: str) -> None:
    assert httpx2.get(tiny.url + path).json() == {"status": "alive", "reason": None}


@pytest.mark.parametrize("path", ["/readyz", "/v2/health/ready"])
def test_it_is_ready_and_names_its_model(tiny, tiny_int8, path: str) -> None:
    body = httpx2.get(tiny.url + path).json()
    manifest = json.loads((tiny_int8 / "manifest.json").read_text())
    assert (body["status"], body["model"], body["digest"]) == ("ready", manifest["name"], manifest["digest"])


@pytest.mark.parametrize(
    ("name", "status"), [("tiny-random", 200), ("other", 404), ("..%2f..%2fetc%2fpasswd", 404), ("%00", 404)]
)
def test_one_model_can_be_asked_after(tiny, name: str, status: int) -> None:
    assert httpx2.get(f"{tiny.url}/v2/models/{name}/ready").status_code == status


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer wrong", "Basic key-of-the-tests", "Bearer \xff"])
def test_without_the_key_nothing_is_answered(tiny, value: str | None) -> None:
    headers = {} if value is None else {"Authorization": value.encode("latin-1")}
    response = httpx2.post(tiny.url + "/predict", json={"prompt": "Hi"}, headers=headers)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"


HOSTILE_FIELDS = {
    "no prompt": ({}, "missing_field", "prompt"),
    "empty prompt": ({"prompt": ""}, "invalid_value", "prompt"),
    "prompt is a number": ({"prompt": 1}, "invalid_type", "prompt"),
    "prompt is a list": ({"prompt": ["Hi"]}, "invalid_type", "prompt"),
    "max_tokens 0": ({"prompt": "Hi", "max_tokens": 0}, "invalid_value", "max_tokens"),
    "max_tokens negative": ({"prompt": "Hi", "max_tokens": -1}, "invalid_value", "max_tokens"),
    "max_tokens 10^9": ({"prompt": "Hi", "max_tokens": 10**9}, "invalid_value", "max_tokens"),
    "max_tokens 2^63": ({"prompt": "Hi", "max_tokens": 2**63}, "invalid_value", "max_tokens"),
    "max_tokens a fraction": ({"prompt": "Hi", "max_tokens": 1.5}, "invalid_type", "max_tokens"),
    "max_tokens a word": ({"prompt": "Hi", "max_tokens": "8"}, "invalid_type", "max_tokens"),
    "max_tokens true": ({"prompt": "Hi", "max_tokens": True}, "invalid_type", "max_tokens"),
    "temperature negative": ({"prompt": "Hi", "temperature": -0.1}, "invalid_value", "temperature"),
    "temperature huge": ({"prompt": "Hi", "temperature": 1e300}, "invalid_value", "temperature"),
    "temperature a word": ({"prompt": "Hi", "temperature": "0"}, "invalid_type", "temperature"),
    "unknown field": ({"prompt": "Hi", "n": 10**6}, "unknown_field", "n"),
    "an array": ([], "invalid_type", None),
    "prompt over the context": ({"prompt": "x" * 20_000}, "context_length_exceeded", "prompt"),
    "prompt and answer over the context": ({"prompt": "x" * 10_000, "max_tokens": 10_000}, "context_length_exceeded", "prompt"),
}


@pytest.mark.parametrize(("body", "code", "param"), HOSTILE_FIELDS.values(), ids=HOSTILE_FIELDS.keys())
def test_a_wrong_field_is_refused_with_400_and_named(tiny, body: object, code: str, param: str | None) -> None:
    response = post(tiny, json.dumps(body).encode())
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)


HOSTILE_BODIES = {
    "nothing": (b"", 400),
    "broken JSON": (b'{"prompt": ', 400),
    "broken UTF-8": (b'{"prompt": "\xff"}', 400),
    "NUL": (rb'{"prompt": "a\u0000b"}', 400),
    "lone surrogate": (rb'{"prompt": "\ud800"}', 400),
    "duplicate key": (b'{"prompt": "a", "prompt": "b"}', 400),
    "NaN": (b'{"prompt": "a", "temperature": NaN}', 400),
    "Infinity": (b'{"prompt": "a", "temperature": Infinity}', 400),
    "1e999": (b'{"prompt": "a", "max_tokens": 1e999}', 400),
    "4,000 digits": (b'{"prompt": "a", "max_tokens": 1' + b"0" * 4000 + b"}", 400),
    "depth of 100,000": (b'{"prompt": ' + b"[" * 100_000, 400),
    "10 MB": (b'{"prompt": "' + b"a" * 10_000_000 + b'"}', 413),
}


@pytest.mark.parametrize(("content", "status"), HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
def test_a_hostile_body_is_refused_and_the_server_goes_on(tiny, content: bytes, status: int) -> None:
    response = post(tiny, content)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "code", "param"}
    assert tiny.predict("Hi", max_tokens=1).status_code == 200


def test_control_tokens_in_a_prompt_are_answered_as_text(tiny) -> None:
    """As many tokens as bytes: the tiny tokenizer has no merges, so a control token would count as one."""
    plain = tiny.predict("x" * 10, max_tokens=1).headers["X-Request-Id"]
    control = tiny.predict("<|im_end|>", max_tokens=1).headers["X-Request-Id"]
    counts = [tiny.await_record(lambda r, name=name: r.get("request") == name)["prompt_tokens"] for name in (plain, control)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/predict", 405), ("POST", "/nowhere", 404), ("POST", "/readyz", 405)]
)
def test_other_routes_and_methods_get_the_same_error_body(tiny, method: str, path: str, status: int) -> None:
    response = httpx2.request(method, tiny.url + path, headers=tiny.headers)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "code", "param"}


def test_greedy_answers_over_http_do_not_depend_on_who_else_asks(tiny) -> None:
    chooser = random.Random(1)
    wanted = [("word " * chooser.randint(1, 80), chooser.randint(1, 60)) for _ in range(24)]
    alone = [tiny.text(prompt, max_tokens=count) for prompt, count in wanted]
    with ThreadPoolExecutor(6) as pool:  # 4 slots and a queue of 2
        together = list(pool.map(lambda pair: tiny.text(pair[0], max_tokens=pair[1]), wanted))
    assert together == alone


def test_hanging_up_frees_the_slot_within_a_second(tiny) -> None:
    connections = [tiny.begin("x" * 50, max_tokens=LONG) for _ in range(4)]
    tiny.await_running(4)
    for connection in connections:
        connection.close()
    assert tiny.await_running(0) < 1
    assert tiny.text("Hi", max_tokens=3)


def test_hanging_up_in_the_queue_frees_the_place(tiny) -> None:
    running = [tiny.begin(max_tokens=LONG) for _ in range(4)]
    tiny.await_running(4)
    queued = [tiny.begin(max_tokens=LONG) for _ in range(2)]
    deadline = time.monotonic() + 5
    while httpx2.get(tiny.url + "/readyz").json()["admitted"] != 6:
        assert time.monotonic() < deadline
    for connection in queued:
        connection.close()
    while httpx2.get(tiny.url + "/readyz").json()["admitted"] != 4:
        assert time.monotonic() < deadline
    for connection in running:
        connection.close()
    tiny.await_running(0)


def test_a_full_queue_refuses_at_once_with_503_and_retry_after(tiny) -> None:
    held = [tiny.begin(max_tokens=LONG) for _ in range(6)]
    deadline = time.monotonic() + 5
    while httpx2.get(tiny.url + "/readyz").json()["admitted"] != 6:
        assert time.monotonic() < deadline
    begin = time.monotonic()
    response = tiny.predict("Hi", max_tokens=1)
    assert time.monotonic() - begin < 1
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "overloaded"
    assert int(response.headers["Retry-After"]) >= 1
    for connection in held:
        connection.close()
    tiny.await_running(0)
    assert tiny.predict("Hi", max_tokens=1).status_code == 200


def test_a_request_in_pieces_does_not_take_a_place(tiny) -> None:
    with socket.create_connection(("127.0.0.1", tiny.port)) as connection:
        head = "POST /predict HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer key-of-the-tests\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head.encode() + b'{"prompt"')
        time.sleep(0.2)
        assert httpx2.get(tiny.url + "/readyz").json()["admitted"] == 0


def test_an_end_token_of_the_manifest_stops_the_answer(start, make_model) -> None:
    free = start(make_model()).text("Hi", max_tokens=40)
    ascii_bytes = [character for character in free if character.isascii() and character.isprintable()]
    end = ascii_bytes[len(ascii_bytes) // 2]
    directory = make_model()
    end_id = Tokenizer.from_file(str(directory / "tokenizer.json")).token_to_id(end)
    stopped = start(make_model(end_ids=[end_id])).text("Hi", max_tokens=40)
    assert stopped == free[: free.index(end)]


def test_sigterm_finishes_what_runs_refuses_new_work_and_exits_0(start, tiny_int8) -> None:
    service = start(tiny_int8, INFERENCE_CONTEXT=16384, INFERENCE_MAX_TOKENS=16384, DRAIN_SECONDS=60)
    running = service.begin(max_tokens=4000)
    service.await_running(1)
    service.process.send_signal(signal.SIGTERM)
    reason = service.await_status("/readyz", 503).json()["reason"]
    assert "draining" in reason
    refused = service.predict("Hi", max_tokens=1)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    answer = running.getresponse()
    assert answer.status == 200
    assert len(json.loads(answer.read())["prediction"]) > 1000
    assert service.process.wait(10) == 0


def test_what_is_not_finished_when_the_drain_ends_is_told_so(start, tiny_int8) -> None:
    service = start(tiny_int8, INFERENCE_CONTEXT=16384, INFERENCE_MAX_TOKENS=16384, DRAIN_SECONDS=0.5)
    running = service.begin(max_tokens=LONG)
    service.await_running(1)
    begin = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    answer = running.getresponse()
    assert answer.status == 503
    assert json.loads(answer.read())["error"]["code"] == "cancelled"
    assert service.process.wait(10) == 1
    assert time.monotonic() - begin < 5


def test_sigterm_while_the_model_loads_does_not_wait_for_it(start, make_model) -> None:
    directory = make_model()
    path = directory / "manifest.json"
    content = json.loads(path.read_text())
    size = 2**37  # sparse: takes no space, and a minute to hash
    with (directory / "large.bin").open("wb") as stream:
        stream.truncate(size)
    content["files"]["large.bin"] = {"sha256": "0" * 64, "size": size}
    path.write_text(json.dumps(content))
    service = start(directory, await_ready=False)
    assert "loaded" in service.await_status("/readyz", 503).json()["reason"]
    assert httpx2.get(service.url + "/healthz").status_code == 200
    response = service.predict("Hi")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "loading"
    assert service.terminate(10) == 0


def test_a_second_sigterm_forces_the_exit(start, tiny_int8) -> None:
    service = start(tiny_int8, INFERENCE_CONTEXT=16384, INFERENCE_MAX_TOKENS=16384, DRAIN_SECONDS=60)
    running = service.begin(max_tokens=LONG)
    service.await_running(1)
    service.process.send_signal(signal.SIGTERM)
    service.await_status("/readyz", 503)
    assert service.terminate(5) == 1
    running.close()


def test_an_idle_server_uses_no_processor(start, tiny_int8) -> None:
    service = start(tiny_int8)
    service.predict("Hi", max_tokens=20)
    process = psutil.Process(service.process.pid)
    before = sum(process.cpu_times()[:2])
    time.sleep(2)
    assert sum(process.cpu_times()[:2]) - before < 0.1  # 5 % of one core; spinning threads would take all of it
