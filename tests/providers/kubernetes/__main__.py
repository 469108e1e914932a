"""``pulumi-resource-kubernetes <engine address>``: started by the engine, which reads the port from the first line."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest's `pythonpath` does: tests/ holds no packages

import grpc

from kubernetes import wire
from kubernetes.messages import EngineLog
from kubernetes.provider import create_servicer

PERMISSION = "ASSISTANT_TEST_PROVIDERS"
REFUSAL = f"""\
This pulumi-resource-kubernetes is a stand-in for tests, and never what a stack is deployed with.
Get Pulumi's own, and take {Path(__file__).resolve().parent} off PATH:
  pulumi plugin install resource kubernetes
Tests say that they know by {PERMISSION}=1.
"""
MAXIMUM_MESSAGE = 400 * 1024 * 1024  # bytes, as in the engine
THREADS = 64  # as many resources may be waited for at once


def main(arguments: list[str]) -> int:
    if os.environ.get(PERMISSION) != "1":
        print(REFUSAL, file=sys.stderr, end="")
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
