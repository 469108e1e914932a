"""``pulumi-resource-<name> <engine address>``: started by the engine, which reads the port from the first line."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from plugin import wire
from plugin.messages import EngineLog

PERMISSION = "ASSISTANT_TEST_PROVIDERS"
REFUSAL = """\
This pulumi-resource-{name} is a stand-in for tests, and never what a stack is deployed with.
Get Pulumi's own, and take {folder} off PATH:
  pulumi plugin install resource {name}
Tests say that they know by {permission}=1.
"""
MAXIMUM_MESSAGE = 400 * 1024 * 1024  # bytes, as in the engine
THREADS = 64  # as many resources may be waited for at once


def notice(name: str, title: str, folder: str) -> str:
    """What every run that uses a stand-in says on the screen."""
    return (
        f"This run uses a stand-in for Pulumi's {title} plugin (tests/providers/{folder}): it is for tests alone. "
        f"The real one: pulumi plugin install resource {name}"
    )


def serve(name: str, folder: Path, create_servicer: Callable[[EngineLog], Any], arguments: list[str]) -> int:
    """Serve the plugin until the engine ends it; a code to exit with where it may not run."""
    if os.environ.get(PERMISSION) != "1":
        print(REFUSAL.format(name=name, folder=folder, permission=PERMISSION), file=sys.stderr, end="")
        return 1
    if not arguments:
        print("The engine's address is missing: this program is started by Pulumi.", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):  # how the engine ends its plugins; they are in process groups of their own
        signal.signal(number, lambda *_: os._exit(0))
    options = [("grpc.max_receive_message_length", MAXIMUM_MESSAGE), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(max_workers=THREADS), options=options)
    services = wire.modules()[1]
    services.add_ResourceProviderServicer_to_server(create_servicer(EngineLog(arguments[-1])), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    while True:
        signal.pause()


def _end_with_parent(parent: int) -> None:
    """An engine that was killed cannot end its plugins."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)
