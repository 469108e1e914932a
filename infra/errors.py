"""What a person can put right: the message says what, where and what to do."""

from __future__ import annotations


class DeploymentError(Exception):
    """The machine, the cluster or a file is not as it must be. Shown without a traceback."""


class LocalError(DeploymentError):
    """Something on this machine is not as it must be; the message says what, where and what to do."""
