"""What goes wrong in a rehearsal, in words for the person at the terminal."""

from __future__ import annotations


class RehearsalError(Exception):
    """A phase failed; the message says why."""
