"""A renewed certificate is taken up without a restart: new connections get it, running ones keep theirs."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from app.http.serve import ServeError, tls_context
from app.telemetry.logs import get_logger

LOOK_SECONDS = 30.0


async def follow(context: ssl.SSLContext, certificate: Path, private_key: Path, every_seconds: float = LOOK_SECONDS) -> None:
    """Look at the files ``every_seconds`` and load them into ``context`` when they have changed; runs until cancelled.

    Files that do not fit together (a renewal writes two) leave the context as it is, and are looked at again.
    """
    log = get_logger(certificate=str(certificate))
    loaded = _state(certificate, private_key)
    while True:
        await asyncio.sleep(every_seconds)
        found = _state(certificate, private_key)
        if found == loaded:
            continue
        try:
            # Tried on a context of its own first: OpenSSL drops the old key when a new certificate does not match it.
            tls_context(certificate, private_key)
            context.load_cert_chain(certificate, private_key)
        except (ServeError, ssl.SSLError, OSError) as error:
            log.warning("certificate_not_reloaded", reason=str(error))
            continue
        loaded = found
        log.info("certificate_reloaded")


def _state(*files: Path) -> tuple[tuple[int, int, int] | None, ...]:
    return tuple(_stamp(file) for file in files)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
