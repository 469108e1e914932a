"""Pulumi's mocks know no resource hooks: a resource with one fails there. Within :func:`hooks_taken` they are kept instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pulumi


@contextmanager
def hooks_taken() -> Iterator[list[pulumi.ResourceHook]]:
    """The hooks that a program registers meanwhile."""
    registered: list[pulumi.ResourceHook] = []

    class Callbacks:
        def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
            registered.append(hook)

    async def callbacks() -> Callbacks:
        return Callbacks()

    with patch("pulumi.runtime.resource._get_callbacks", callbacks):
        yield registered
