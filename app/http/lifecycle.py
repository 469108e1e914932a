"""The states of a serving process: starting, serving, draining, stopped.

One :class:`Lifecycle` is shared by the server (which moves it on signals), the readiness probe (which reports it) and the
application (which may stop the process, for instance because its model cannot be loaded).
"""

from __future__ import annotations

import asyncio


class Lifecycle:
    """Created before the event loop runs or inside it; used from the event loop's thread alone."""

    def __init__(self) -> None:
        self.draining = asyncio.Event()  # SIGTERM came: not ready any more
        self.refusing = asyncio.Event()  # new work is refused; what runs is finished
        self.forced = asyncio.Event()  # leave now
        self.exit_code = 0

    def stop(self, exit_code: int = 0) -> None:
        """Begin to drain; the process ends with ``exit_code``. What is called first decides the code."""
        if not self.draining.is_set():
            self.exit_code = exit_code
        self.draining.set()

    def signalled(self) -> None:
        """SIGTERM or SIGINT: the first drains, a second forces the exit."""
        if self.draining.is_set():
            self.forced.set()
        self.stop()
