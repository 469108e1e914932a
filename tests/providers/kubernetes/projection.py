"""What a live object says about the fields that its inputs set: how `refresh` sees drift, and no more than drift."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_FACTORS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTP", start=1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTP", start=1)},
}
# What names an item of a list, in the order of trial; otherwise items are told by their position.
_ITEM_KEYS = ("name", "containerPort", "port", "mountPath", "key", "ip", "type")


def projected(live: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """``inputs`` as ``live`` has them: changed fields with their present value, removed ones left out, what others added
    left aside. Both are plain."""
    if live.get("kind") == "Secret" and "stringData" in inputs:
        data = {key: _decoded(text) for key, text in (live.get("data") or {}).items()}
        live = {**live, "stringData": data}
    result = _project(live, inputs)
    assert isinstance(result, dict)
    return result


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode(errors="replace")


def _project(live: Any, given: Any) -> Any:
    if isinstance(live, Mapping) and isinstance(given, Mapping):
        result = {}
        for key, value in given.items():
            if key in live:
                result[key] = _project(live[key], value)
            elif value in ({}, [], "", 0, False):  # the API server leaves empty values out
                result[key] = value
        return result
    if isinstance(live, list) and isinstance(given, list):
        return _project_list(live, given)
    return given if same(live, given) else live


def _project_list(live: list[Any], given: list[Any]) -> list[Any]:
    key = next((key for key in _ITEM_KEYS if all(isinstance(item, Mapping) and key in item for item in given)), None)
    if not given or key is None:
        if len(live) != len(given):
            return live
        return [_project(present, wanted) for present, wanted in zip(live, given, strict=True)]
    by_key = {item.get(key): item for item in live if isinstance(item, Mapping)}
    return [_project(by_key[item[key]], item) for item in given if item[key] in by_key]


def same(one: Any, other: Any) -> bool:
    """Equal, or two spellings of one quantity: ``0.5`` and ``500m``, ``1024Mi`` and ``1Gi``."""
    if one == other:
        return True
    first, second = _quantity(one), _quantity(other)
    return first is not None and first == second


def _quantity(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    match = _QUANTITY.fullmatch(str(value))
    return Decimal(match[1]) * _FACTORS[match[2] or ""] if match else None
