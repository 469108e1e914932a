"""Kubernetes' resource quantities as numbers. Pure; the settings have checked their form."""

from __future__ import annotations

_UNITS = {"m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}


def cores(quantity: str) -> float:
    return _number(quantity)


def size(quantity: str) -> int:
    """Bytes."""
    return int(_number(quantity))


def plus(one: str, other: str) -> str:
    """The sum of two sizes, as the API server itself would write it, or every apply would seem to bring a change."""
    total = size(one) + size(other)
    unit = next((unit for unit in ("Ti", "Gi", "Mi", "Ki") if total % int(_UNITS[unit]) == 0), None)
    return f"{total // int(_UNITS[unit])}{unit}" if unit else str(total)


def _number(quantity: str) -> float:
    unit = next((unit for unit in sorted(_UNITS, key=len, reverse=True) if quantity.endswith(unit)), "")
    return float(quantity.removesuffix(unit)) * _UNITS.get(unit, 1.0)
