"""The assistant from compose.yaml: real containers, the real model, TLS ended by nginx."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import uuid
from typing import Any

import pytest
from generic.sender import event_body, signed_headers

from tools.compose.project import ONE_SHOTS, SERVICES

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]
QUESTION = {"question": "What is the capital of France?"}


def request(
    running: Any, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], str]:
    """Status, headers in lower case, and body of an answer through nginx."""
    connection = http.client.HTTPSConnection("127.0.0.1", running.https_port, timeout=90, context=client())
    try:
        data = body if isinstance(body, str | bytes) else json.dumps(body) if body is not None else None
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode()
    finally:
        connection.close()


def client(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """Believes any certificate, and speaks old versions too, which OpenSSL itself refuses at its usual security level."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    return context


def handshake(port: int, version: ssl.TLSVersion) -> str | None:
    """The version that server and client agreed on."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, client(version).wrap_socket(plain) as secured:
        return secured.version()


def test_a_question_is_answered_through_nginx_by_the_real_model(running: Any) -> None:
    status, _, body = request(running, "POST", "/api/v1/answer", QUESTION, {"Authorization": f"Bearer {running.api_key}"})
    assert status == 200
    assert "Paris" in json.loads(body)["answer"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer " + "x" * 43}])
def test_nobody_is_answered_without_the_key(running: Any, headers: dict[str, str]) -> None:
    assert request(running, "POST", "/api/v1/answer", QUESTION, headers)[0] == 401


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused_by_the_server(running: Any, version: ssl.TLSVersion) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
        handshake(running.https_port, version)


@pytest.mark.parametrize(("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_tls_1_2_and_1_3_are_spoken(running: Any, version: ssl.TLSVersion, name: str) -> None:
    assert handshake(running.https_port, version) == name


def test_plain_http_is_sent_to_https_at_the_port_that_people_reach(running: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.http_port, timeout=10)
    connection.request("GET", "/api/v1/answer?x=1", headers={"Host": f"localhost:{running.http_port}"})
    response = connection.getresponse()
    assert response.status == 301
    assert response.getheader("Location") == f"https://localhost:{running.https_port}/api/v1/answer?x=1"
    connection.close()


def test_browsers_are_told_to_keep_to_https_and_nobody_the_version_of_nginx(running: Any) -> None:
    _, headers, _ = request(running, "GET", "/healthz")
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["server"] == "nginx"


def test_a_body_above_the_limit_ends_at_the_proxy(running: Any) -> None:
    status, _, body = request(running, "POST", "/api/v1/answer", "x" * (1 << 20) + "x")
    assert status == 413
    assert "nginx" in body


def test_a_signed_event_is_accepted_and_the_worker_takes_it(running: Any) -> None:
    secret = (running.secrets / "generic_webhook_secret").read_text(encoding="utf-8")
    event = f"evt_{uuid.uuid4().hex}"
    body = event_body("hi", event_id=event)
    status, _, said = request(running, "POST", "/events", body, signed_headers(secret, event, body))
    assert (status, json.loads(said)["status"]) == (200, "accepted")
    path, key = f"/api/v1/events/{json.loads(said)['event']}", {"Authorization": f"Bearer {running.api_key}"}
    deadline, trace = time.monotonic() + 30, {"state": "queued"}
    while trace["state"] == "queued" and time.monotonic() < deadline:
        trace = json.loads(request(running, "GET", path, headers=key)[2])
        time.sleep(0.2)
    assert trace["state"] != "queued"


def test_every_health_check_passes(running: Any) -> None:
    assert {service: running.project.healthy(service) for service in SERVICES} == dict.fromkeys(SERVICES, True)


def test_the_one_shots_ended_well(running: Any) -> None:
    assert {service: running.project.state(service)["ExitCode"] for service in ONE_SHOTS} == dict.fromkeys(ONE_SHOTS, 0)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_without_any_privilege_on_a_root_that_it_cannot_write(running: Any, service: str) -> None:
    assert running.inside(service, "id", "-u").strip() == "10001"
    status = dict(
        line.split(":\t", 1) for line in running.inside(service, "cat", "/proc/1/status").splitlines() if ":\t" in line
    )
    assert status["CapEff"].strip("0") == status["CapBnd"].strip("0") == ""
    assert status["NoNewPrivs"] == "1"
    root = next(line for line in running.inside(service, "cat", "/proc/mounts").splitlines() if line.split()[1] == "/")
    assert "ro" in root.split()[3].split(",")


@pytest.mark.parametrize("service", ["gateway", "worker", "redis"])
def test_secrets_other_than_the_models_key_stand_in_no_environment(running: Any, service: str) -> None:
    environment = running.inside(service, "env")
    for path in running.secrets.iterdir():
        assert path.read_text(encoding="utf-8").strip() not in environment


def test_the_model_and_the_queue_cannot_speak_to_the_world(running: Any) -> None:
    probe = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    said = running.project.engine.said("exec", running.project.container("ai-service"), "python", "-c", probe)
    assert "Network is unreachable" in said


def test_an_acknowledged_event_is_on_the_disk(running: Any) -> None:
    command = "REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli config get 'append*'"
    words = running.inside("redis", "sh", "-c", command).split()
    settings = dict(zip(words[::2], words[1::2], strict=True))
    assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "always")
