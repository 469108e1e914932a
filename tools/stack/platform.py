"""The generic platform of a stack: the one that listens where the settings say, else the emulator meanwhile."""

from __future__ import annotations

import base64
import importlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, urlsplit

import psutil

from infra.local.layout import Layout
from infra.settings import LOCAL_PLATFORM, ON_AWS, Settings
from tools.kubernetes.address import HOST_ADDRESS
from tools.stack.assistant import AssistantError
from tools.stack.cluster import find, is_cluster
from tools.stack.engine import Engine

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SECRETS = ("generic_client_secret", "generic_webhook_secret")
END_SECONDS = 2.0
Say = Callable[[str], None]


@contextmanager
def platform(engine: Engine, say: Say) -> Iterator[None]:
    """While it lasts, the platform that the stack is configured for is there. Raises :class:`AssistantError` where the stack
    is connected to none."""
    settings = engine.settings()
    url = address_of(settings)
    if url is None:
        raise AssistantError(not_connected(engine))
    address = urlsplit(url)
    if not is_emulated(url, own_addresses(settings)) or _listens(address):
        say(f"yours, at {url}")
        yield
        return
    with _emulator(engine, settings, address, say):
        say(f"played by the emulator at {url}")
        yield


def address_of(settings: Settings) -> str | None:
    """Where the stack's generic platform is; None where it has none."""
    return settings.platforms.generic.url or (LOCAL_PLATFORM if settings.target == "local" else None)


def is_played(settings: Settings) -> bool:
    """Whether the emulator may play the stack's platform: nobody's real calendar gets an entry unasked."""
    url = address_of(settings)
    return url is not None and is_emulated(url, own_addresses(settings))


def is_emulated(url: str, hosts: frozenset[str]) -> bool:
    """Whether the emulator may play the platform at ``url``: at an address of this machine, in plain HTTP."""
    address = urlsplit(url)
    return address.scheme == "http" and address.hostname in hosts


def own_addresses(settings: Settings) -> frozenset[str]:
    """The addresses of this machine that the stack's worker reaches: loopback on this machine, all others from a pod."""
    if settings.target == "local":
        return LOOPBACK
    found = {entry.address.partition("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries}
    return frozenset(found - LOOPBACK)


def not_connected(engine: Engine) -> str:
    if engine.target() in ON_AWS:
        return (
            f"The stack {engine.stack} is connected to no platform, so nobody would get the answer. Connect it to yours: "
            f"make set{engine.make_option} KEY=platforms.generic.url VALUE=https://…, then make up{engine.make_option}"
        )
    option, url = engine.make_option, f"http://{HOST_ADDRESS}:8090"
    return (
        f"The stack {engine.stack} is connected to no platform, so nobody would get the answer. To play one here, name an "
        f"address of this machine that the cluster's pods reach (with `make cluster`: {HOST_ADDRESS}): "
        f"make set{option} KEY=platforms.generic.url VALUE={url}, then make up{option}"
    )


@contextmanager
def _emulator(engine: Engine, settings: Settings, address: SplitResult, say: Say) -> Iterator[None]:
    with _secret_files(engine, settings) as folder:
        process = subprocess.Popen(
            [
                *(sys.executable, str(engine.checkout / "tests" / "platforms" / "generic")),
                *("--host", str(address.hostname), "--port", str(address.port or 80)),
                *("--client-id", settings.platforms.generic.client_id),
                *("--client-secret-file", str(folder / SECRETS[0])),
                *("--webhook-secret-file", str(folder / SECRETS[1])),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        started = process.stdout.readline().startswith("platform")
    if not started:
        raise AssistantError("The emulated platform did not start; its own words stand above.")
    reader = threading.Thread(target=_show, args=(process.stdout, say), daemon=True)
    reader.start()
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(timeout=2)


@contextmanager
def _secret_files(engine: Engine, settings: Settings) -> Iterator[Path]:
    """A folder with the platform's secrets, for as long as a program starts: a cluster's are in the cluster alone."""
    if engine.target() == "local":
        yield Layout(engine.state_directory()).secrets
        return
    with tempfile.TemporaryDirectory(prefix="assistant-") as folder:  # mode 0700
        values = _cluster_secrets(engine) if is_cluster(engine) else _aws_secrets(engine, settings)
        for name, value in values.items():
            descriptor = os.open(Path(folder, name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(value)
        yield Path(folder)


def _aws_secrets(engine: Engine, settings: Settings) -> dict[str, bytes]:
    """The import takes a while, which other targets need not wait for."""
    opened = importlib.import_module("tools.aws.opened")
    return {name: value.encode() for name, value in opened.named(engine.stack, settings, SECRETS).items()}


def _cluster_secrets(engine: Engine) -> dict[str, bytes]:
    """The platform's secrets out of the stack's Secrets. Raises :class:`AssistantError` where one is missing."""
    cluster = find(engine)
    entries = {name: value for secret in cluster.read("secrets")["items"] for name, value in (secret.get("data") or {}).items()}
    if missing := [name for name in SECRETS if name not in entries]:
        raise AssistantError(f"The namespace {cluster.namespace} ({cluster.context}) has no secret {' and no '.join(missing)}.")
    return {name: base64.b64decode(entries[name]) for name in SECRETS}


def _show(lines: IO[str], say: Say) -> None:
    for line in lines:
        say(line.rstrip())


def _listens(address: SplitResult) -> bool:
    try:
        with socket.create_connection((address.hostname or "", address.port or 80), timeout=0.5):
            return True
    except OSError:
        return False
