"""Setting properties in the engine's own encoding, so that what is marked as secret or unknown stays so.

The policy SDK decodes a resource for a remediation and encodes what comes back: every secret mark is lost on the way, and the
secret lands in the state in plain. Here the message is copied and only the named properties are set in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from google.protobuf.struct_pb2 import Value as Encoded

from policies.values import SECRET, SIGNATURE, Value


class NotPossible(Exception):
    """A property cannot be set: what stands on the way to it is no mapping. The message names the path, no value."""


def remediated(properties: Struct, changes: Mapping[tuple[str, ...], Value]) -> Struct:
    """A copy of ``properties`` with ``changes`` (plain values by path). Raises :class:`NotPossible`."""
    copy = Struct()
    copy.CopyFrom(properties)
    for path, value in changes.items():
        _set(copy, path, value)
    return copy


def _set(struct: Struct, path: tuple[str, ...], value: Value) -> None:
    *outer, last = path
    for position, key in enumerate(outer):
        item = _opened(struct.fields[key]) if key in struct.fields else struct.fields[key]
        if item.WhichOneof("kind") not in ("struct_value", None, "null_value"):
            raise NotPossible(f"{'.'.join(path[: position + 1])} is no mapping")
        struct = item.struct_value
        if SIGNATURE in struct.fields:
            raise NotPossible(f"{'.'.join(path[: position + 1])} is not known before the update")
    place = _opened(struct.fields[last]) if last in struct.fields else struct.fields[last]
    place.CopyFrom(json_format.ParseDict(value, Encoded()))


def _opened(value: Encoded) -> Encoded:
    """What a secret mark holds, so that the mark stays round what is set in it."""
    fields = value.struct_value.fields if value.WhichOneof("kind") == "struct_value" else {}
    while SIGNATURE in fields and fields[SIGNATURE].string_value == SECRET and "value" in fields:
        value = fields["value"]
        fields = value.struct_value.fields if value.WhichOneof("kind") == "struct_value" else {}
    return value
