"""What every dynamic provider of the project has in common.

A provider holds no state and pickles by reference to its class, so the paths of the modules that define one are part of every
stack's state: renaming one leaves stacks that cannot be destroyed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import ConfigureRequest, DiffResult, ReadResult, ResourceProvider
from pulumi.runtime.rpc import UNKNOWN

from infra.errors import DeploymentError

Props = dict[str, Any]

PROVIDER_KEY = "__provider"  # where pulumi.dynamic keeps the pickled provider among a resource's properties


class _NoTraceback(logging.Filter):
    """gRPC logs a traceback for every exception of a provider. Of those that say what is wrong, the engine's line is enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], DeploymentError | OSError))


class DynamicProvider(ResourceProvider):
    """A provider without state and without secrets in its pickled form."""

    serialize_as_secret_always = False

    def configure(self, _req: ConfigureRequest) -> None:
        """Called once in the provider's own process."""
        logger = logging.getLogger("grpc._server")
        if not any(isinstance(present, _NoTraceback) for present in logger.filters):
            logger.addFilter(_NoTraceback())


def inputs_of(props: Mapping[str, Any]) -> Props:
    """``props`` without what pulumi.dynamic adds."""
    return {key: value for key, value in props.items() if key != PROVIDER_KEY}


def changed_inputs(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """The keys of ``news`` whose value differs in ``olds``. A value that is not known yet counts as different."""
    return sorted(key for key, value in news.items() if contains_unknown(value) or not _equal(olds.get(key), value))


def contains_unknown(value: Any) -> bool:
    """Whether ``value`` holds, at any depth, an output that a preview cannot know."""
    if isinstance(value, Mapping):
        return any(contains_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(contains_unknown(item) for item in value)
    return bool(value == UNKNOWN) or (isinstance(value, str) and UNKNOWN in value)


def update_or_replace(changed: list[str], *, replaced_by: frozenset[str]) -> DiffResult:
    """Change in place, unless one of ``replaced_by`` changed: then the old resource goes first, as both use one place."""
    replaces = [key for key in changed if key in replaced_by]
    return DiffResult(changes=bool(changed), replaces=replaces, delete_before_replace=True)


def present(id_: str, outs: Props) -> ReadResult:
    """What ``read`` answers. The resource is never reported as gone: the next ``up`` mends it."""
    return ReadResult(id_, outs)


def _equal(old: Any, new: Any) -> bool:
    # Numbers travel as floats, and null values are dropped on the way.
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = {key for key, value in (*old.items(), *new.items()) if value is not None}
        return all(_equal(old.get(key), new.get(key)) for key in keys)
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(_equal(a, b) for a, b in zip(old, new, strict=True))
    return bool(old == new)
