"""Did somebody set the property, or does the provider compute it?"""

from __future__ import annotations

from policies.resource import Resource
from policies.values import UNKNOWN


def is_given(resource: Resource, name: str) -> bool:
    """Before the update everything that the provider will compute is unknown; of these, what was computed from another
    resource has an edge to it, and what nobody set has none."""
    value = resource.view.raw(name)
    return value is not None and not (value is UNKNOWN and not resource.property_dependencies.get(name))
