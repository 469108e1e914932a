"""What goes wrong here, in words for the person at the terminal."""

from __future__ import annotations


class ClusterError(Exception):
    """A mistake of the user's or a limit of this machine. The message says what came, what is allowed and what to do."""
