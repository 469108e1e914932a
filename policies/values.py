"""A plain view of what the engine sends: ordinary dictionaries, lists and scalars, with markers for what is not plain.

The engine marshals a resource's properties into a ``google.protobuf.Struct`` in which unknown values, secrets, assets and
archives are encoded by signatures (``sdk/go/common/resource/properties.go`` of Pulumi). Pulumi's policy SDK decodes them
into proxies that drop the secret marks and raise on an unknown; this module decodes them itself:

========================  =============================================================
the engine's              here
========================  =============================================================
unknown value             :data:`UNKNOWN`
secret                    :class:`Secret`, whose text never shows the value
asset, archive            :class:`Asset`
number                    ``int`` where it is whole (443.0 arrives for 443), else ``float``
anything unforeseen       :class:`Strange`, never an exception
========================  =============================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Union

from google.protobuf.struct_pb2 import Struct
from google.protobuf.struct_pb2 import Value as Encoded

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a signature of the protocol
ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
REFERENCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
# One sentinel for each type (sdk/go/common/resource/plugin/rpc.go): boolean, number, string, array, asset, archive, object.
UNKNOWN_SENTINELS: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
# The engine's own properties of a resource (`__provider`: the pickled code of a dynamic provider) are nobody's inputs.
INTERNAL_PREFIX: Final = "__"


class _Unknown:
    """A value that the engine learns during the update."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __reduce__(self) -> str:
        """A copy of it is itself."""
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True, repr=False)
class Secret:
    """A value that the program, a provider or the engine marked as secret."""

    value: Value

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True, repr=False)
class Asset:
    """``text`` of a string asset, else None: files and addresses are named by ``source`` and not opened."""

    source: str = ""
    text: str | None = None
    members: Mapping[str, Value] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Asset({self.source or '…'})"


@dataclass(frozen=True)
class Strange:
    """Something that the protocol does not foresee; ``what`` holds no value of it."""

    what: str


Value = Union[None, bool, int, float, str, "_Unknown", Secret, Asset, Strange, "dict[str, Value]", "list[Value]"]


def decode(struct: Struct) -> dict[str, Value]:
    """The properties of a resource, less the engine's own."""
    return {key: _decode(value) for key, value in struct.fields.items() if not key.startswith(INTERNAL_PREFIX)}


def _decode(value: Encoded) -> Value:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text: str = value.string_value
        return UNKNOWN if text in UNKNOWN_SENTINELS else text
    if kind == "number_value":
        number = value.number_value
        return int(number) if math.isfinite(number) and number.is_integer() else float(number)
    if kind == "bool_value":
        return bool(value.bool_value)
    if kind == "struct_value":
        return _decode_struct(value.struct_value)
    if kind == "list_value":
        return [_decode(item) for item in value.list_value.values]
    return None


def _decode_struct(struct: Struct) -> Value:
    fields = struct.fields
    if SIGNATURE not in fields:
        return {key: _decode(item) for key, item in fields.items()}
    signature = fields[SIGNATURE].string_value
    if signature == SECRET:
        if "value" in fields:
            return Secret(_decode(fields["value"]))
        # In an exported state: the cipher's text, or the plain one as JSON, which nobody here needs to open.
        exported = "ciphertext" in fields or "plaintext" in fields
        return Secret(UNKNOWN) if exported else Strange("a secret without a value")
    if signature == OUTPUT:
        inner: Value = _decode(fields["value"]) if "value" in fields else UNKNOWN
        return Secret(inner) if "secret" in fields and fields["secret"].bool_value else inner
    if signature in (ASSET, ARCHIVE):
        source = next((fields[key].string_value for key in ("path", "uri") if key in fields), "")
        text = fields["text"].string_value if "text" in fields else None
        members = _decode(fields["assets"]) if "assets" in fields else None
        return Asset(source, text, members if isinstance(members, dict) else {})
    if signature == REFERENCE:
        return _decode(fields["urn"]) if "urn" in fields else Strange("a reference without a URN")
    return Strange("a value of unknown signature")


@dataclass(frozen=True)
class Leaf:
    """One scalar of a tree of properties. ``keys`` are the names on the way to it, list positions as ``[0]``."""

    keys: tuple[str, ...]
    value: Value
    marked: bool  # lies inside a Secret

    @property
    def path(self) -> str:
        return join(self.keys)


def join(keys: Iterable[str]) -> str:
    """``("environment", "HOST")`` -> ``environment.HOST``; ``("command", "[0]")`` -> ``command[0]``."""
    return ".".join(keys).replace(".[", "[")


def leaves(value: Value, keys: tuple[str, ...] = (), marked: bool = False) -> Iterator[Leaf]:
    """Every scalar, unknown or strange value below ``value``, depth first."""
    if isinstance(value, Secret):
        yield from leaves(value.value, keys, True)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*keys, key), marked)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from leaves(item, (*keys, f"[{position}]"), marked)
    elif isinstance(value, Asset):
        if value.text is not None:
            yield Leaf((*keys, "text"), value.text, marked)
        for key, item in value.members.items():
            yield from leaves(item, (*keys, key), marked)
    else:
        yield Leaf(keys, value, marked)


def describe(value: Value) -> str:
    """The type of ``value`` for a message, never the value."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    for kind, words in (str, "a text"), (int, "a number"), (float, "a number"), (dict, "a mapping"), (list, "a list"):
        if isinstance(value, kind):
            return words
    if isinstance(value, Strange):
        return value.what
    return "an asset" if isinstance(value, Asset) else "an unknown value"
