"""The result for whoever started the command and reads no stream: a file, in Kubernetes the container's termination message."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

LIMIT_BYTES = 4096  # Kubernetes reads no more of a termination message, and half a JSON object is none
CUT = "…"


def write(path: Path | None, values: Mapping[str, object]) -> None:
    """Write ``values`` to ``path``, if there is one. A report that cannot be written changes nothing about the result."""
    if path is None:
        return
    try:
        path.write_bytes(fit(values, LIMIT_BYTES))
    except OSError as error:
        print(f"the report {path} cannot be written: {error.strerror}", file=sys.stderr)


def fit(values: Mapping[str, object], limit: int) -> bytes:
    """JSON of at most ``limit`` bytes: the longest strings lose their ends until it fits."""
    kept = dict(values)
    while len(content := json.dumps(kept, ensure_ascii=False).encode()) > limit:
        name, longest = max(
            ((name, value) for name, value in kept.items() if isinstance(value, str)), key=lambda pair: len(pair[1])
        )
        if len(longest) <= len(CUT):
            raise ValueError(f"{len(content)} bytes without a string to shorten do not fit into {limit}")
        kept[name] = longest[: len(longest) // 2] + CUT
    return content
