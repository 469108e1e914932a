"""A real gateway process over TLS, with a real Redis and an inference service of a few lines, for the tests of this folder."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from feishu.wire import signed as feishu_headers
from generic.faulty_server import Answer, Fault, FaultyServer
from generic.sender import event_body, signed_headers
from slack_workspace.delivery import signed_headers as slack_headers

START_SECONDS = 60.0  # several suites share two cores


class Inference:
    """``POST /predict`` and ``GET /readyz``: keeps the raw bodies, answers what a test wants."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.authorizations: list[str] = []
        self.answer = Answer(200, {"prediction": "Paris."})
        self.faults: list[Fault] = []
        self._server = FaultyServer("127.0.0.1", 0, self._handle, self._fault)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        self.bodies.clear()
        self.faults.clear()
        self.answer = Answer(200, {"prediction": "Paris."})

    def _handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if (method, path) == ("GET", "/readyz"):
            return Answer(200, {"status": "ready", "reason": None})
        self.bodies.append(body)
        self.authorizations.append(headers.get("authorization", ""))
        return self.answer

    def _fault(self, path: str) -> Fault | None:
        return self.faults.pop() if self.faults and path == "/predict" else None


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Gateway:
    """A running gateway; ``environment`` is what it was started with."""

    environment: dict[str, str]
    folder: Path
    ca: Path
    process: subprocess.Popen[bytes] = field(init=False)
    client: httpx2.Client = field(init=False)

    def start(self) -> None:
        log = (self.folder / f"gateway-{self.environment['PORT']}.log").open("ab")
        with log:
            self.process = subprocess.Popen([sys.executable, "-m", "app.gateway"], env=self.environment, stdout=log, stderr=log)
        self.client = httpx2.Client(base_url=self.url, verify=self.context(), timeout=30)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx2.TransportError):
                self.client.get("/healthz")
                return
            time.sleep(0.05)
        pytest.fail(f"the gateway did not start:\n{self.log}")

    def stop(self) -> int:
        self.client.close()
        self.process.terminate()
        return self.process.wait(30)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.environment['PORT']}"

    @property
    def port(self) -> int:
        return int(self.environment["PORT"])

    @property
    def api_key(self) -> str:
        return self.environment["API_KEY"]

    @property
    def secret(self) -> str:
        """The first of the webhook secrets."""
        return self.environment["GENERIC_WEBHOOK_SECRET"].split()[0]

    @property
    def log(self) -> str:
        return (self.folder / f"gateway-{self.environment['PORT']}.log").read_text()

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    @property
    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))

    def send(self, text: str = "hello", *, event_id: str | None = None, **more: Any) -> httpx2.Response:
        """A signed event."""
        number = event_id or f"msg_{secrets.token_hex(8)}"
        body = event_body(text, event_id=number, **more)
        return self.client.post("/events", content=body, headers=signed_headers(self.secret, number, body))

    def signed(self, body: bytes) -> dict[str, str]:
        """Right headers for any bytes, also such as are not UTF-8 (the library signs text alone)."""
        import base64
        import hmac

        number, moment = f"msg_{secrets.token_hex(8)}", str(int(time.time()))
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        mac = hmac.new(key, f"{number}.{moment}.".encode() + body, hashlib.sha256).digest()
        signature = "v1," + base64.b64encode(mac).decode()
        return {"webhook-id": number, "webhook-timestamp": moment, "webhook-signature": signature}

    def signed_for(self, platform: str, body: bytes) -> dict[str, str]:
        """As ``platform`` signs it."""
        if platform == "slack":
            return slack_headers(self.environment["SLACK_SIGNING_SECRET"], body)
        return feishu_headers(self.environment["FEISHU_ENCRYPT_KEY"], body) if platform == "feishu" else self.signed(body)

    def raw(self, data: bytes, *, seconds: float = 30.0) -> Reply:
        """Bytes as they are over a TLS connection of their own, and the first answer to them."""
        with (
            socket.create_connection(("127.0.0.1", self.port), seconds) as plain,
            self.context().wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            with contextlib.suppress(ConnectionError, ssl.SSLError):  # the answer may come, and the end, before all is sent
                connection.sendall(data)
            return read_reply(connection)


def read_reply(connection: ssl.SSLSocket) -> Reply:
    received = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while b"\r\n\r\n" not in received and (chunk := connection.recv(65536)):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    length = int(headers.get("content-length", "0"))
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while len(body) < length and (chunk := connection.recv(65536)):
            body += chunk
    return Reply(int(lines[0].split()[1]) if lines[0] else 0, headers, body)


def make_certificate(folder: Path, name: str = "server") -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def new_certificate() -> Callable[[Path, str], tuple[Path, Path]]:
    return make_certificate


@pytest.fixture(scope="session")
def shared_inference() -> Iterator[Inference]:
    running = Inference()
    yield running
    running.stop()


@pytest.fixture
def inference(shared_inference: Inference) -> Inference:
    shared_inference.reset()
    return shared_inference


StartGateway = Callable[..., Gateway]


@pytest.fixture(scope="session")
def start_gateway(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path], shared_inference: Inference
) -> Iterator[StartGateway]:
    """``start_gateway(redis, **environment)``: a gateway process of one's own, stopped at the end of the session."""
    started: list[Gateway] = []
    folder = tmp_path_factory.mktemp("gateway")

    def start(redis: Any, **changes: str) -> Gateway:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "PORT": str(port),
            "TLS_CERTIFICATE": str(certificate[0]),
            "TLS_PRIVATE_KEY": str(certificate[1]),
            "API_KEY": secrets.token_urlsafe(32),
            "INFERENCE_URL": shared_inference.url,
            "INFERENCE_API_KEY": "inference-canary-key",
            "SLACK_SIGNING_SECRET": "8f742231b10e8888abcd99b0a5d3e7c1",
            "FEISHU_ENCRYPT_KEY": "key-of-these-tests",
            "FEISHU_VERIFICATION_TOKEN": "token-of-these-tests",
            "GENERIC_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
            "REDIS_URL": redis.url,
            "REDIS_PASSWORD": redis.password,
            "REDIS_TIMEOUT_SECONDS": "3",  # the machine is shared; the test of a Redis that hangs sets its own
            "DRAIN_SECONDS": "2",
            **changes,
        }
        gateway = Gateway(environment, folder, certificate[0])
        started.append(gateway)
        gateway.start()
        return gateway

    yield start
    for gateway in started:
        if gateway.process.poll() is None:
            gateway.stop()


@pytest.fixture(scope="session")
def shared_gateway(start_gateway: StartGateway, redis_server: Any) -> Gateway:
    return start_gateway(redis_server)


@pytest.fixture
def gateway(shared_gateway: Gateway, redis_server: Any, inference: Inference) -> Gateway:
    """The session's gateway, its Redis emptied."""
    redis_server.command("FLUSHALL")
    return shared_gateway
