"""Run the emulated Feishu: ``python tests/platforms/feishu --port 8091 --app-secret-file F --verification-token-file F …``.

It prints a line for each thing that happens. Each line that is typed, and each ``POST /say {"text": …}``, is what Ada writes to
the assistant: posted to ``--webhook``, or over the long connection where there is none. It stops at SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import ssl
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest's `pythonpath` does: tests/ holds no packages

from feishu.emulator import Emulator


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="feishu", description="Play Feishu.")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--app-id", default="cli_a1b2c3")
    parser.add_argument("--app-secret-file", type=Path, required=True)
    parser.add_argument("--verification-token-file", type=Path, required=True)
    parser.add_argument("--encrypt-key-file", type=Path, help="without one, events are neither encrypted nor signed")
    parser.add_argument("--redirect-uri", action="append", default=[], help="an address that the console lists")
    parser.add_argument("--webhook", default="", help="the assistant's address, https://…/events/feishu")
    parser.add_argument("--ca", type=Path, help="the certificate authority of the stack (PEM)")
    parser.add_argument("--time-scale", type=float, default=1.0, help="of the waits before an event is sent again")
    parser.add_argument("--group", action="store_true", help="Ada writes in a group, and mentions the assistant")
    options = parser.parse_args(arguments)
    try:
        key = options.encrypt_key_file
        emulator = Emulator(
            app_id=options.app_id,
            app_secret=options.app_secret_file.read_text().strip(),
            encrypt_key=key.read_text().split()[0] if key else None,
            verification_token=options.verification_token_file.read_text().split()[0],
            redirect_uris=tuple(options.redirect_uri),
            host=options.host,
            port=options.port,
            say=lambda line: print(line, flush=True),
        )
        emulator.webhook, emulator.time_scale = options.webhook, options.time_scale
        emulator.context = ssl.create_default_context(cafile=str(options.ca)) if options.ca else None
    except OSError as error:
        print(f"feishu: {error.filename or f'{options.host}:{options.port}'}: {error.strerror}", file=sys.stderr)
        return 1
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def talk() -> None:
        for line in sys.stdin:
            if text := line.strip():
                emulator.converse(text, group=options.group)

    with emulator:
        print(f"feishu    ready at {emulator.url}", flush=True)
        threading.Thread(target=talk, daemon=True).start()
        while not stop.wait(0.2):  # a signal may reach another thread, and then this one does not wake
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
