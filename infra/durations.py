"""How long the application's processes take to end, wherever they run: whoever kills one must wait longer."""

from __future__ import annotations

INFERENCE_TIMEOUT_SECONDS = 60  # a question's longest way through inference
# What has been begun is finished: the longest request fits in, so that a rolling update cuts none off.
DRAIN_SECONDS = INFERENCE_TIMEOUT_SECONDS + 5
EXIT_SECONDS = 10  # closing connections and flushing logs after the drain
