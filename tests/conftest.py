"""Fixtures that several suites share: a real Redis, as the local target runs it, and AWS as moto plays it."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis as redis_sync
import redis.asyncio as redis_async
from redis.backoff import NoBackoff
from redis.retry import Retry

from tools.redis import MissingRedisError, find_redis_server

AWS_REGION = "eu-central-1"


def redis_binary() -> str:
    """The server that the local target runs too; skips where none was set up."""
    try:
        return str(find_redis_server())
    except MissingRedisError as error:
        pytest.skip(str(error))


class RedisServer:
    """A redis-server process of its own: password, append-only file fsynced on every write, no eviction."""

    START_SECONDS = 15.0

    def __init__(self, binary: str, folder: Path, *options: str) -> None:
        self.folder = folder
        self.password = secrets.token_hex(16)
        self.port = self._free_port()
        self._binary = binary
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @staticmethod
    def _free_port() -> int:
        """Below the kernel's range for outgoing connections (from 32,768), so that it is still free after a restart, and so
        that the port 10,000 above, which Redis takes too in cluster mode, lies below it as well."""
        while True:
            port = 10_000 + secrets.randbelow(12_000)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port

    @property
    def url(self) -> str:
        """Without the password, as REDIS_URL is."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        # The configuration goes over standard input: a password among the arguments would be shown by ps.
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"requirepass {self.password}",
            f"dir {self.folder}",
            "appendonly yes",
            "appendfsync always",
            'save ""',
            "maxmemory-policy noeviction",
            *self._options,
        ]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([self._binary, "-"], stdin=subprocess.PIPE, stdout=log, stderr=log)
        assert self._process.stdin is not None
        self._process.stdin.write("\n".join(lines).encode())
        self._process.stdin.close()
        self._await_ready()

    def kill(self) -> None:
        """SIGKILL: nothing is written on the way out."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Killed and started again on the same port and the same append-only file."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections are accepted by the kernel and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def command(self, *words: str | bytes | int | float) -> object:
        """One command over a connection of its own."""
        with redis_sync.Redis(port=self.port, password=self.password, decode_responses=True, socket_timeout=30) as client:
            return client.execute_command(*words)

    def client(self) -> redis_async.Redis:
        """A client without retries; the caller closes it."""
        return redis_async.Redis(
            port=self.port, password=self.password, decode_responses=True, socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(number)
        self._process.wait(timeout=10)
        self._process = None

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self.START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                if self.command("PING"):
                    return
            except redis_sync.RedisError:  # refused, or still loading the append-only file
                time.sleep(0.01)
        pytest.fail(f"redis-server did not start:\n{(self.folder / 'redis.log').read_text()[-2000:]}")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for the whole session; tests that use it through ``redis`` find it empty. Do not kill it."""
    binary = redis_binary()
    server = RedisServer(binary, tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[redis_async.Redis]:
    """A client of the session's server, emptied first."""
    client = redis_server.client()
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test alone, which may kill, pause, restart or fill it."""
    binary = redis_binary()
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(binary, folder)
    yield server
    server.kill()


@pytest.fixture
def cluster_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server in cluster mode with one shard, as MemoryDB is in its smallest form."""
    binary = redis_binary()
    folder = tmp_path / "cluster"
    folder.mkdir()
    server = RedisServer(binary, folder, "cluster-enabled yes", "cluster-announce-ip 127.0.0.1")
    server.command("CLUSTER", "ADDSLOTS", *range(16384))
    deadline = time.monotonic() + 10
    while "cluster_state:ok" not in str(server.command("CLUSTER", "INFO")):  # a second or two after the slots were given
        assert time.monotonic() < deadline, "the one-shard cluster never became ok"
        time.sleep(0.02)
    yield server
    server.kill()


@dataclass(frozen=True)
class Aws:
    """AWS on a socket of this machine: code finds it by AWS_ENDPOINT_URL, as any endpoint.

    ``environment``: of a process with credentials that may do everything.
    """

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return self.without_credentials() | {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}

    def without_credentials(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": AWS_REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "NO_PROXY": "127.0.0.1",
        }

    def client(self, service: str, region: str = AWS_REGION) -> Any:
        import boto3  # here and below: half a second that most tests have no use for

        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        return boto3.client(service, endpoint_url=self.url, region_name=region, **keys)

    def check_policies(self, *, after: int | None) -> None:
        """From the ``after``-th call on, callers need a policy that allows what they do; None: nobody does."""
        _post(f"{self.url}/moto-api/reset-auth", str(after if after is not None else 10**9))


def _post(url: str, body: str = "") -> None:
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "text/plain"}, method="POST")  # noqa: S310 loopback
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto_server: str) -> Iterator[Aws]:
    """An empty account."""
    _post(f"{moto_server}/moto-api/reset")
    found = Aws(moto_server)
    yield found
    found.check_policies(after=None)
