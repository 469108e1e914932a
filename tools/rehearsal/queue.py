"""MemoryDB, played by a real Redis of one shard: cluster mode, TLS, one user, let in by what Secrets Manager holds."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import redis

from tools.redis import MissingRedisError, debian
from tools.redis.server import NAMES, package_folder, version_of
from tools.rehearsal.addresses import QUEUE
from tools.rehearsal.authority import Certificates
from tools.rehearsal.errors import RehearsalError

SLOTS = 16384
READY_SECONDS = 15.0
LEAST = (7, 0)  # what MemoryDB's access strings are written for


def server_program() -> Path:
    """One that speaks TLS, as Debian's does; the one of the wheel does not. Raises :class:`RehearsalError`."""
    places = [Path(folder) / name for name in NAMES for folder in ("/usr/bin", "/usr/local/bin")]
    unpacked = package_folder(os.environ) / "redis-server"
    if found := next((path for path in (*places, unpacked) if (version_of(path) or (0,)) >= LEAST), None):
        return found
    try:
        debian.install(os.environ, lambda line: print(f"  {line}", flush=True))
    except MissingRedisError as error:
        raise RehearsalError(str(error)) from None
    return unpacked


def configuration(folder: Path, certificates: Certificates, administrator: str) -> str:
    """``administrator``: a password of our own; MemoryDB has no such user."""
    host, port = QUEUE
    lines = [
        f"bind {host}",
        "port 0",
        f"tls-port {port}",
        f"tls-cert-file {certificates.certificate}",
        f"tls-key-file {certificates.key}",
        f"tls-ca-cert-file {certificates.authority}",
        "tls-auth-clients no",
        "tls-cluster yes",
        "cluster-enabled yes",
        f"cluster-announce-ip {host}",
        f"dir {folder}",
        "appendonly yes",
        "appendfsync always",
        'save ""',
        "maxmemory-policy noeviction",
        f"user default on >{administrator} ~* &* +@all",
    ]
    return "\n".join(lines) + "\n"


class Queue:
    """A client of it with all rights."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._password = secrets.token_hex(16)
        self._certificates = certificates
        self.configuration = folder / "redis.conf"
        self.configuration.touch(mode=0o600)
        self.configuration.write_text(configuration(folder, certificates, self._password), encoding="utf-8")

    def make_whole(self) -> None:
        """All slots to the one shard. Raises :class:`RehearsalError`."""
        with self._client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
            end = time.monotonic() + READY_SECONDS
            while "cluster_state:ok" not in _text(client.execute_command("CLUSTER", "INFO")):
                if time.monotonic() > end:
                    raise RehearsalError("the one-shard queue never became whole")
                time.sleep(0.1)

    def let_in(self, user: str, access: str, passwords: Sequence[str]) -> None:
        """As MemoryDB does when a user is changed: ``access`` is its access string."""
        rules = ["reset", *access.split(), *(f">{password}" for password in passwords)]
        with self._client() as client:
            client.execute_command("ACL", "SETUSER", user, *rules)

    def _client(self) -> redis.Redis:
        host, port = QUEUE
        authority = str(self._certificates.authority)
        return redis.Redis(host=host, port=port, password=self._password, ssl=True, ssl_ca_certs=authority, socket_timeout=10)


def _text(answer: object) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)
