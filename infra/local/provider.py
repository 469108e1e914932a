"""What the dynamic providers of the local target share; :mod:`infra.dynamic` says why this module cannot be renamed."""

from __future__ import annotations

from infra.dynamic import (
    PROVIDER_KEY,
    DynamicProvider,
    Props,
    changed_inputs,
    contains_unknown,
    inputs_of,
    present,
    update_or_replace,
)
from infra.errors import LocalError

__all__ = [
    "PROVIDER_KEY",
    "LocalError",
    "LocalProvider",
    "Props",
    "changed_inputs",
    "contains_unknown",
    "inputs_of",
    "present",
    "update_or_replace",
]


class LocalProvider(DynamicProvider):
    """A provider whose resources are files and processes of this machine."""
