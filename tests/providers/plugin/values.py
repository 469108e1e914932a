"""Property values as the engine's wire carries them: numbers are floats, secrets and unknowns are marked by signatures.

Source of the signatures: pulumi/sdk/go/common/resource (SigKey, SecretSig) and plugin (UnknownStringValue).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # the signature's value, no secret


def secret(value: Any) -> dict[str, Any]:
    return {SIGNATURE: SECRET, "value": value}


def is_secret(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get(SIGNATURE) == SECRET


def plain(value: Any) -> Any:
    """``value`` without the marks of secrets, with whole numbers as integers and without nulls in objects: what an API
    server is sent, and what is compared."""
    if is_secret(value):
        return plain(value["value"])
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def has_unknowns(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(has_unknowns(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknowns(item) for item in value)
    return bool(value == UNKNOWN)


def marked(outputs: Any, inputs: Any) -> Any:
    """``outputs`` with everything marked secret that is secret in ``inputs``."""
    if is_secret(inputs):
        return outputs if is_secret(outputs) else secret(outputs)
    if isinstance(outputs, Mapping) and isinstance(inputs, Mapping):
        return {key: marked(item, inputs.get(key)) for key, item in outputs.items()}
    if isinstance(outputs, list) and isinstance(inputs, list):
        padded = [*inputs, *[None] * len(outputs)]
        return [marked(item, given) for item, given in zip(outputs, padded, strict=False)]
    return outputs
