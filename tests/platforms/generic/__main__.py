"""Run the emulated platform: ``python tests/platforms/generic --port 8090 --client-secret-file F --webhook-secret-file F``.

It prints a line for each thing that arrives and stops at SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest's `pythonpath` does: tests/ holds no packages

from generic.emulator import Emulator


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="generic platform", description="Play the generic collaboration platform.")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--client-id", default="assistant")
    parser.add_argument("--client-secret-file", type=Path, required=True)
    parser.add_argument("--webhook-secret-file", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        emulator = Emulator(
            client_id=options.client_id,
            client_secret=options.client_secret_file.read_text().strip(),
            webhook_secret=options.webhook_secret_file.read_text().strip(),
            host=options.host,
            port=options.port,
            say=lambda line: print(line, flush=True),
        )
    except OSError as error:
        print(f"generic platform: {error.filename or f'{options.host}:{options.port}'}: {error.strerror}", file=sys.stderr)
        return 1
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with emulator:
        print(f"platform  ready at {emulator.url}", flush=True)
        while not stop.wait(0.2):  # a signal may reach another thread, and then this one does not wake
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
