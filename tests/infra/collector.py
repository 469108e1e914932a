"""Python's cycle collector off while a stack is put together: it walks the SDK's hundred thousands of objects again and again,
half of the time, and finds nothing."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
