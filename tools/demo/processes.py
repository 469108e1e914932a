"""The assistant's own processes for one demonstration (Redis, inference, gateway, worker), in a folder that goes with them."""

from __future__ import annotations

import contextlib
import datetime
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from infra.generated.authority import issue_authority, issue_server, with_loopback
from infra.generated.values import digest, generate
from infra.local import tether
from infra.local.private_files import write_private
from infra.redis_configuration import ACCESS_FILE, CONFIGURATION_FILE, access_text, configuration_text
from tools.demo.model import Door
from tools.redis import find_redis_server

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05
LAST_LINES = 15
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "HOST": HOST, "DRAIN_SECONDS": "3"}
Say = Callable[[str], None]


class DemoFailed(Exception):
    """Something did not happen as it must; the message says what, with the last lines of a log."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """``url``: of the gateway; ``ca``: PEM of the authority that signed its certificate. ``api_key``: its operator's."""

    url: str
    ca: str
    api_key: str
    logs: Path

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.ca)


@dataclass(frozen=True, kw_only=True)
class Part:
    name: str
    command: list[str]
    environment: Mapping[str, str]
    ready: Callable[[], bool]


@contextmanager
def assistant(
    folder: Path, model: Path | None, connected: Callable[[str], Mapping[str, str]], say: Say, port: int = 0
) -> Iterator[Running]:
    """``folder``: empty and private. ``model``: a directory of the store; None plays the model too. ``connected``: what gateway
    and worker are told of the platform, given the gateway's address. ``port``: the gateway's, 0 a free one. Raises
    :class:`DemoFailed`."""
    ports = dict(zip(("gateway", "inference", "redis", "worker"), free_ports(4), strict=True))
    ports["gateway"] = port or ports["gateway"]
    url = f"https://localhost:{ports['gateway']}"
    files, keys = _files(folder, ports["redis"])
    with ExitStack() as parts:
        door = parts.enter_context(Door(f"http://{HOST}:{ports['inference']}" if model else None))
        started = time.monotonic()
        parts.enter_context(_running(folder, [_redis(folder, ports["redis"])]))
        common = {
            **ENVIRONMENT,
            "REDIS_URL": f"redis://{HOST}:{ports['redis']}/0",
            "REDIS_PASSWORD_FILE": str(files["redis_password"]),
            "INFERENCE_URL": door.url,
            "INFERENCE_API_KEY_FILE": str(files["inference_api_key"]),
            "TOKEN_KEY_FILE": str(files["token_key"]),
            "AUDIT_DIRECTORY": str(folder / "audit"),
            **connected(url),
        }
        application = [_gateway(folder, ports["gateway"], common, files), _worker(ports["worker"], common)]
        if model:
            application.insert(0, _inference(ports["inference"], model, files))
        parts.enter_context(_running(folder, application))
        names = ", ".join(["redis", *(part.name for part in application)])
        say(f"{names}: up after {time.monotonic() - started:.1f} s")
        yield Running(url=url, ca=(folder / "ca.pem").read_text(), api_key=keys["api_key"], logs=folder / "logs")


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _files(folder: Path, redis_port: int) -> tuple[dict[str, Path], dict[str, str]]:
    """Secrets, certificate and Redis' configuration. By name, where each secret lies, and its value."""
    for name in ("secrets", "logs", "redis", "audit"):
        (folder / name).mkdir(mode=0o700)
    keys = {name: generate(name) for name in ("api_key", "inference_api_key", "redis_password", "token_key")}
    files = {name: folder / "secrets" / name for name in keys}
    for name, value in keys.items():
        write_private(files[name], value)
    now, hosts = datetime.datetime.now(datetime.UTC), with_loopback(())
    authority = issue_authority(hosts, now, f"Assistant demonstration {secrets.token_hex(4)}")
    server = issue_server(authority, hosts, datetime.timedelta(days=1), now)
    for name, content in (("ca.pem", authority.certificate), ("server.pem", server.certificate), ("server.key", server.key)):
        write_private(folder / name, content.decode())
    redis = folder / "redis"
    write_private(redis / CONFIGURATION_FILE, configuration_text(port=redis_port, directory=redis, bind=HOST))
    write_private(redis / ACCESS_FILE, access_text(digest(keys["redis_password"])))
    return files, keys


def _redis(folder: Path, port: int) -> Part:
    command = [str(find_redis_server()), str(folder / "redis" / CONFIGURATION_FILE)]
    return Part(name="redis", command=command, environment=ENVIRONMENT, ready=lambda: _listens(port))


def _inference(port: int, model: Path, files: Mapping[str, Path]) -> Part:
    environment = {
        **ENVIRONMENT,
        "PORT": str(port),
        "MODEL_PATH": str(model),
        "API_KEY_FILE": str(files["inference_api_key"]),
    }
    return _python("inference", "app.inference", environment, lambda: _is_ready(f"http://{HOST}:{port}/readyz"))


def _gateway(folder: Path, port: int, common: Mapping[str, str], files: Mapping[str, Path]) -> Part:
    environment = {
        **common,
        "PORT": str(port),
        "TLS_CERTIFICATE": str(folder / "server.pem"),
        "TLS_PRIVATE_KEY": str(folder / "server.key"),
        "API_KEY_FILE": str(files["api_key"]),
        "PUBLIC_URL": f"https://localhost:{port}",
    }
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    return _python("gateway", "app.gateway", environment, lambda: _is_ready(f"https://localhost:{port}/readyz", context))


def _worker(port: int, common: Mapping[str, str]) -> Part:
    environment = {**common, "PORT": str(port)}
    return _python("worker", "app.pipeline", environment, lambda: _is_ready(f"http://{HOST}:{port}/readyz"))


def _python(name: str, module: str, environment: Mapping[str, str], ready: Callable[[], bool]) -> Part:
    return Part(name=name, command=[sys.executable, "-m", module], environment=environment, ready=ready)


@contextmanager
def _running(folder: Path, parts: list[Part]) -> Iterator[None]:
    """Side by side, each in a process group of its own that ends with this process, however that ends."""
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for part in parts:
            with (folder / "logs" / f"{part.name}.log").open("ab") as log:
                processes[part.name] = subprocess.Popen(
                    [sys.executable, "-I", "-S", tether.__file__, *part.command],
                    env=dict(part.environment),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    process_group=0,  # ^C is for us
                )
        for part in parts:
            _wait(part, processes[part.name], folder / "logs")
        yield
    finally:
        for process in processes.values():
            if process.stdin:
                process.stdin.close()  # which ends the group
        for process in processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)


def _wait(part: Part, process: subprocess.Popen[bytes], logs: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not part.ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise DemoFailed(f"{part.name} did not start:\n{last_lines(logs / f'{part.name}.log')}")
        time.sleep(POLL_SECONDS)


def last_lines(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"    {line}" for line in lines[-LAST_LINES:]) or "    (its log is empty)"


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def _is_ready(url: str, context: ssl.SSLContext | None = None) -> bool:
    try:
        return httpx2.get(url, verify=context or True, timeout=2, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False
