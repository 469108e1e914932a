from __future__ import annotations

import json

import httpx2
import pytest

CASES = [
    ("GET", "/nowhere", 404, "not_found", "invalid_request_error"),
    ("PUT", "/echo", 405, "method_not_allowed", "invalid_request_error"),
    ("GET", "/slow/soon", 400, "invalid_value", "invalid_request_error"),
    ("GET", "/teapot", 418, "im_a_teapot", "invalid_request_error"),
    ("GET", "/busy", 503, "overloaded", "server_error"),
    ("GET", "/boom", 500, "internal_error", "server_error"),
]


@pytest.mark.parametrize(("method", "path", "status", "code", "kind"), CASES)
def test_every_refusal_and_failure_has_the_one_body(sample, method, path, status, code, kind) -> None:
    response = httpx2.request(method, sample.url + path)
    assert response.status_code == status
    error = response.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert (error["code"], error["type"]) == (code, kind)
    assert error["message"]


def test_retry_after_is_whole_seconds_rounded_up(sample) -> None:
    assert httpx2.get(sample.url + "/busy").headers["Retry-After"] == "2"


def test_a_refusal_keeps_its_own_headers(sample) -> None:
    assert httpx2.put(sample.url + "/echo").headers["Allow"] == "POST"


def test_a_traceback_reaches_the_log_without_local_variables_and_never_the_caller(sample) -> None:
    response = httpx2.get(sample.url + "/boom")
    assert "boom" not in response.text
    records = [json.loads(line) for line in sample.log.read_text().splitlines()]
    assert any(record.get("exception") for record in records)
    assert "canary-in-a-local-variable" not in sample.log.read_text()


def test_a_field_at_fault_is_named_over_http(sample) -> None:
    response = httpx2.post(sample.url + "/model", json={"name": "x", "colour": "red"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "colour"
