"""Which labels a selector of Kubernetes selects: ``matchLabels`` and ``matchExpressions``, all of which must hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policies.resource import Malformed, View
from policies.show import show

OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")


def selects(selector: View | None, labels: Mapping[str, str]) -> bool:
    """An absent selector selects nothing, an empty one everything (``LabelSelector`` of meta/v1)."""
    if selector is None:
        return False
    return _pairs_hold(selector.mapping("matchLabels"), labels) and all(
        _holds(expression, labels) for expression in selector.mappings("matchExpressions") or []
    )


def selected_by_pairs(pairs: View | None, labels: Mapping[str, str]) -> bool:
    """The plain selector of a Service, which selects nothing where it is empty."""
    return pairs is not None and bool(pairs.names()) and _pairs_hold(pairs, labels)


def selects_all(selector: View | None) -> bool:
    return selector is not None and not any(holds for holds in (selector.raw("matchLabels"), selector.raw("matchExpressions")))


def _pairs_hold(pairs: View | None, labels: Mapping[str, str]) -> bool:
    return pairs is None or all(labels.get(name) == pairs.text(name) for name in pairs.names())


def _holds(expression: View, labels: Mapping[str, str]) -> bool:
    key, operator = expression.text("key") or "", expression.text("operator") or ""
    values = expression.texts("values") or []
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    raise Malformed(expression.path("operator"), f"one of {', '.join(OPERATORS)}", show(operator) or "nothing")
