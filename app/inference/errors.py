"""Why the service does not start."""

from __future__ import annotations


class StartError(Exception):
    """Model, device or settings do not allow serving; the message is for the operator and fits on one line."""
