"""Run the emulated workspace: ``python tests/platforms/slack_workspace --signing-secret-file F --bot-token-file F``.

With ``--request-url`` events go there, signed; without, through Socket Mode. It prints a line for each thing that happens,
shows the conversations at its own address, where one can write too, and stops at SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import ssl
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest's `pythonpath` does: tests/ holds no packages

from slack_workspace.emulator import Emulator


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="slack", description="Play a Slack workspace.")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--signing-secret-file", type=Path, required=True)
    parser.add_argument("--bot-token-file", type=Path, required=True)
    parser.add_argument("--app-token-file", type=Path, help="for Socket Mode")
    parser.add_argument("--client-id", default="111.222")
    parser.add_argument("--client-secret-file", type=Path, help="for installations")
    parser.add_argument("--redirect-uri", action="append", default=[], help="registered; may be repeated")
    parser.add_argument("--request-url", help="where events go; without it they go through Socket Mode")
    parser.add_argument("--ca", type=Path, help="the certificate authority of the stack (PEM)")
    parser.add_argument("--pace", type=float, default=1.0, help="0.01: retries come a hundred times sooner")
    options = parser.parse_args(arguments)
    more = {
        name: path.read_text().split()[0]
        for name, path in (("app_token", options.app_token_file), ("client_secret", options.client_secret_file))
        if path is not None
    }
    emulator = Emulator(
        signing_secret=options.signing_secret_file.read_text().split()[0],
        bot_token=options.bot_token_file.read_text().strip(),
        client_id=options.client_id,
        redirect_uris=tuple(options.redirect_uri),
        request_url=options.request_url,
        verify=ssl.create_default_context(cafile=str(options.ca)) if options.ca else True,
        pace=options.pace,
        seconds_apart=1.0,
        host=options.host,
        port=options.port,
        say=lambda line: print(line, flush=True),
        **more,
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        emulator.start()
    except OSError as error:
        print(f"slack: {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"slack     ready at {emulator.url}", flush=True)
    while not stop.wait(0.2):  # a signal may reach another thread, and then this one does not wake
        pass
    emulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
