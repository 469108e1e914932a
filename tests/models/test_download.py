"""Downloads from real HTTPS servers that cut, stall, redirect and refuse as those of model hubs do."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import random
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.models import download as downloading
from app.models.download import Place, download
from app.models.errors import SourceError
from app.models.fetch import fetch
from app.models.sources import parse

CONTENT = random.Random(5).randbytes(3_000_001)
REVISION, TOKEN = "c" * 40, "hf_canary"
FILE = "/org/model/resolve/" + REVISION + "/q/Tiny-Q4_1.gguf"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file with a key and a certificate for localhost and 127.0.0.1 that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    path.write_bytes(key.private_bytes(*encoding) + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@dataclass
class Hub:
    """``files`` by path; the rest is what goes wrong. ``seen``: path, ``Range`` and ``Authorization`` of each request."""

    files: dict[str, bytes] = field(default_factory=lambda: {FILE: CONTENT})
    cut_after: int | None = None  # bytes of each answer
    ranges: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)  # of the next answers, before any file
    retry_after: str | None = None
    stalls: int = 0  # of so many answers half, and no more until ``stall`` is set
    stall: threading.Event = field(default_factory=threading.Event)
    seen: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    port: int = 0

    def url(self, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.seen.append((handler.path, handler.headers.get("Range"), handler.headers.get("Authorization")))
        if self.statuses:
            self.send(handler, self.statuses.pop(0), {"Retry-After": self.retry_after} if self.retry_after else {}, b"no")
        elif handler.path in self.redirects:
            self.send(handler, 302, {"Location": self.redirects[handler.path]}, b"elsewhere")
        elif handler.path.partition("?")[0] not in self.files:
            self.send(handler, 404, {}, b"not found")
        else:
            self.send_file(handler, self.files[handler.path.partition("?")[0]])

    def send_file(self, handler: BaseHTTPRequestHandler, content: bytes) -> None:
        wanted, total = handler.headers.get("Range"), len(content)
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        if begin >= total:
            self.send(handler, 416, {"Content-Range": f"bytes */{total}"}, b"")
            return
        headers = {"Content-Range": f"bytes {begin}-{total - 1}/{total}"} if begin else {}
        self.send(handler, 206 if begin else 200, headers, content[begin:])

    def send(self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if status in (200, 206) and self.stalls:
            self.stalls -= 1
            handler.wfile.write(body[: len(body) // 2])
            handler.wfile.flush()
            self.stall.wait(30)
            body = body[len(body) // 2 :]
        handler.wfile.write(body if status not in (200, 206) else body[: self.cut_after])


@pytest.fixture
def hub(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    found = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):  # who asked has gone
                found.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", found.url())
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(hub: Hub, tmp_path: Path) -> Callable[..., list[float]]:
    """Download into ``tmp_path/file``; the shares that were told. ``paused`` collects the pauses."""

    def run(path: str = FILE, token: str | None = None, paused: list[float] | None = None) -> list[float]:
        shares: list[float] = []
        place = Place(url=hub.url() + path, name="the model", token=token, advice="accept its terms")
        download(place, tmp_path / "file", shares.append, (paused if paused is not None else []).append)
        return shares

    return run


def ranges(hub: Hub) -> list[str | None]:
    return [seen[1] for seen in hub.seen]


def test_a_file_comes_whole_and_the_share_grows_to_one(hub: Hub, get: Any, tmp_path: Path) -> None:
    shares = get()
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 2
    assert ranges(hub) == [None]


def test_a_connection_that_is_cut_again_and_again_is_resumed_where_it_was(hub: Hub, get: Any, tmp_path: Path) -> None:
    """Seven cuts, more than the tries in a row without a byte."""
    hub.cut_after = 400_000
    pauses: list[float] = []
    get(paused=pauses)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert ranges(hub) == [None, *(f"bytes={n * 400_000}-" for n in range(1, 8))]
    assert len(pauses) == 7


def test_a_file_that_is_half_there_already_is_resumed(hub: Hub, get: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT[:2_000_000])
    shares = get()
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert ranges(hub) == ["bytes=2000000-"]
    assert shares[0] > 0.6


def test_a_file_that_is_whole_already_is_left(hub: Hub, get: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    get()
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_without_ranges_gives_it_from_the_start(hub: Hub, get: Any, tmp_path: Path) -> None:
    hub.ranges = False
    (tmp_path / "file").write_bytes(CONTENT[:1000])
    get()
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_what_is_longer_than_the_server_s_file_is_thrown_away(hub: Hub, get: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(4_000_000))
    get()
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_left_and_asked_again(
    hub: Hub, get: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "TIMEOUT", httpx2.Timeout(0.3))
    hub.stalls = 3
    get()
    hub.stall.set()
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert ranges(hub) == [None, "bytes=1500000-", "bytes=2250000-", "bytes=2625000-"]


def test_a_server_that_gives_nothing_is_given_up_with_growing_pauses(hub: Hub, get: Any) -> None:
    hub.statuses = [503] * 9
    pauses: list[float] = []
    with pytest.raises(SourceError, match="the model: localhost answers 503; tried 5 times"):
        get(paused=pauses)
    assert pauses == [2, 4, 8, 16]


def test_who_asks_to_come_later_is_asked_later_but_not_tomorrow(hub: Hub, get: Any) -> None:
    hub.statuses, hub.retry_after = [429, 429], "86400"
    pauses: list[float] = []
    get(paused=pauses)
    assert pauses == [30, 30]


def test_a_token_stays_with_its_host(hub: Hub, get: Any, tmp_path: Path) -> None:
    """The hub's name leads to a path of its own first, then to a store of another name."""
    hub.redirects = {FILE: "/api/there", "/api/there": f"{hub.url('127.0.0.1')}/store/blob?signature=canary"}
    hub.files = {"/store/blob": CONTENT}
    get(token=TOKEN)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [(path.partition("?")[0], token) for path, _, token in hub.seen] == [
        (FILE, f"Bearer {TOKEN}"),
        ("/api/there", f"Bearer {TOKEN}"),
        ("/store/blob", None),
    ]


@pytest.mark.parametrize("target", ["http://localhost:{port}/file", "ftp://localhost/file", "", "https://[::1"])
def test_a_redirect_to_anything_but_https_is_not_followed(hub: Hub, get: Any, target: str) -> None:
    hub.redirects = {FILE: target.format(port=hub.port)}
    with pytest.raises(SourceError, match="redirects to") as error:
        get(token=TOKEN)
    assert TOKEN not in str(error.value)
    assert len(hub.seen) == 1


def test_redirects_in_a_circle_end(hub: Hub, get: Any) -> None:
    hub.redirects = {FILE: FILE}
    with pytest.raises(SourceError, match="more than 5 redirects"):
        get()
    assert len(hub.seen) == 6


@pytest.mark.parametrize(("status", "words"), [(401, "accept its terms"), (403, "accept its terms"), (404, "no such file")])
def test_refusals_are_final_and_say_what_to_do(hub: Hub, get: Any, status: int, words: str) -> None:
    hub.statuses = [status]
    with pytest.raises(SourceError, match=words):
        get(token=TOKEN)
    assert len(hub.seen) == 1


def test_a_server_without_a_known_authority_is_not_believed(hub: Hub, get: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(SourceError, match="broke off"):
        get()
    assert hub.seen == []


def test_the_token_is_neither_logged_nor_shown(
    hub: Hub, get: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.statuses = [500, 401]
    with pytest.raises(SourceError) as error:
        get(token=TOKEN)
    place = Place(url=hub.url(), name="n", token=TOKEN, advice="")
    assert TOKEN not in caplog.text + str(error.value) + repr(place) + repr(error.getrepr(showlocals=False))


def source(hub: Hub, content: bytes = CONTENT) -> Any:
    return parse(f"hf:org/model@{REVISION}#q/Tiny-Q4_1.gguf", hashlib.sha256(content).hexdigest())


def test_the_hub_is_asked_with_the_token_of_a_file(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    monkeypatch.setenv("HF_TOKEN_FILE", str(tmp_path / "token"))
    path = fetch(source(hub), tmp_path, lambda _: None)
    assert path.read_bytes() == CONTENT
    assert hub.seen == [(FILE, None, f"Bearer {TOKEN}")]


def test_a_gated_model_is_explained(hub: Hub, tmp_path: Path) -> None:
    hub.statuses = [401]
    with pytest.raises(SourceError, match=f"gated or private.*accept its terms at {hub.url()}/org/model and .*HF_TOKEN_FILE"):
        fetch(source(hub), tmp_path, lambda _: None)


def test_a_hub_without_tls_is_refused(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example.org")
    with pytest.raises(SourceError, match="HF_ENDPOINT"):
        fetch(source(hub), tmp_path, lambda _: None)


def test_a_file_of_any_server_is_fetched_without_the_hub_s_token(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    path = fetch(parse(hub.url() + FILE, hashlib.sha256(CONTENT).hexdigest()), tmp_path, lambda _: None)
    assert path.read_bytes() == CONTENT
    assert hub.seen == [(FILE, None, None)]


def test_another_file_than_asked_for_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not used"):
        fetch(source(hub, b"another"), tmp_path, lambda _: None, tmp_path / "partial")
    assert list(tmp_path.iterdir()) == []


def test_a_beginning_of_another_file_is_found_out_and_the_file_fetched_whole(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "partial").write_bytes(bytes(1_000_000))
    path = fetch(source(hub), tmp_path, lambda _: None, tmp_path / "partial")
    assert path.read_bytes() == CONTENT
    assert ranges(hub) == ["bytes=1000000-", None]


def test_an_object_of_a_bucket_is_a_source(aws: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="somebodys", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="somebodys", Key="of/Tiny.gguf", Body=CONTENT)
    shares: list[float] = []
    digest = hashlib.sha256(CONTENT).hexdigest()
    path = fetch(parse("s3://somebodys/of/Tiny.gguf", digest), tmp_path, shares.append)
    assert path.read_bytes() == CONTENT
    assert shares[-1] == 1.0
    with pytest.raises(SourceError, match="is not used"):
        fetch(parse("s3://somebodys/of/Tiny.gguf", "0" * 64), tmp_path, shares.append)


def test_a_killed_conversion_goes_on_with_its_download(hub: Hub, tiny_gguf: Path, tmp_path: Path) -> None:
    """The whole command, with the model's bytes from the hub."""
    content = tiny_gguf.read_bytes()
    hub.files, hub.stalls = {FILE: content}, 1
    uri = f"hf:org/model@{REVISION}#q/Tiny-Q4_1.gguf"
    command = [sys.executable, "-m", "app.models", "--source", uri, "--sha256", hashlib.sha256(content).hexdigest()]
    command += ["--store", str(tmp_path / "store"), "--max-kl", "10", "--min-top1", "0"]
    first = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial = tmp_path / "store" / ".partial"
    while not (partial.is_dir() and any(path.stat().st_size == len(content) // 2 for path in partial.iterdir())):
        assert first.poll() is None
    (begun,) = partial.iterdir()
    first.kill()
    first.wait()
    hub.stall.set()
    size = begun.stat().st_size
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["source"], found["name"], found["made"]) == (uri, "Tiny", True)
    assert ranges(hub) == [None, f"bytes={size}-"]
    assert list(partial.iterdir()) == []
