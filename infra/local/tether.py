"""``python tether.py COMMAND…``: runs COMMAND in a process group that ends with whoever holds this script's standard input.

A provider that is killed cannot end its children, but the kernel closes its pipes. Standard library only, and run as a file,
so that it starts in a few milliseconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL


def main(command: list[str]) -> int:
    """The exit status of ``command``; 128 + n where signal n ended it."""
    os.setpgid(0, 0)  # the command and its children inherit the group
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to the whole group below
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)
    )
    threading.Thread(target=_end_with_standard_input, args=(child,), daemon=True).start()
    status = child.wait()
    return status if status >= 0 else 128 - status


def _end_with_standard_input(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGTERM)
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
