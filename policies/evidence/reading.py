"""Properties of recorded resources as words for people."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from policies.record import Seen, plain
from policies.values import UNKNOWN, Asset, Secret, Strange, Value

NOT_KNOWN: Final = "not known before the update"
COMPONENTS: Final = "assistant:"  # types of what only groups resources
HIDDEN: Final = "[secret]"


def value_of(seen: Seen, name: str) -> Value:
    """What the program set, as the provider has it now; None where the program set nothing and no provider has answered."""
    output = seen.resource.properties.get(name)
    return output if output is not None and output is not UNKNOWN else seen.inputs.get(name)


def output_of(seen: Seen, name: str) -> str:
    """What only an update can tell, such as a digest or an end."""
    output = seen.resource.properties.get(name)
    return words(UNKNOWN if output is None else output)


def text_of(seen: Seen, name: str, absent: str = "") -> str:
    value = value_of(seen, name)
    return absent if value is None else words(value)


def words(value: Value) -> str:
    """``value`` in one line; lists joined by commas, mappings as JSON, and nothing secret."""
    if isinstance(value, Secret):
        return HIDDEN
    if value is UNKNOWN:
        return NOT_KNOWN
    if isinstance(value, Strange):
        return value.what
    if isinstance(value, Asset):
        return value.source or "a text"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(words(item) for item in value)
    if isinstance(value, dict):
        return compact(plain(value))
    return "" if value is None else str(value)


def compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(", ", ": "))


def mapping_of(value: Value) -> Mapping[str, Value]:
    """``value`` where it is a mapping, else an empty one: a report goes on where a rule would have found a fault."""
    return value if isinstance(value, dict) else {}


def metadata_of(seen: Seen, name: str) -> Value:
    """Of a Kubernetes object: as the cluster has it, or as the program wrote it where the cluster has not answered."""
    output = mapping_of(seen.resource.properties.get("metadata")).get(name)
    return mapping_of(seen.inputs.get("metadata")).get(name) if output in (None, UNKNOWN) else output


def list_of(value: Value) -> list[Value]:
    """A list as it is, one thing as a list of it, nothing as an empty one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def document_of(value: Value) -> Mapping[str, Any] | None:
    """A policy document, given as JSON or as a mapping; None where it is not known or is no document."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, dict) else None


def short_type(resource_type: str) -> str:
    """``aws:kms/key:Key`` -> ``Key``."""
    return resource_type.rpartition(":")[2]


def place_of(urn: str) -> str:
    """Type and name, as people call a resource: ``Bucket models``."""
    head, _, name = urn.rpartition("::")
    return f"{short_type(head)} {name}" if urn else "the stack"


def of_types(seen: Iterable[Seen], *resource_types: str) -> list[Seen]:
    """Those of ``resource_types``, by URN, so that the engine's order, which differs from run to run, shows nowhere."""
    return sorted((each for each in seen if each.resource.type in resource_types), key=lambda each: each.resource.urn)


def days_between(day: str, end: str) -> str:
    """Whole days from ``day`` until ``end``, both ISO 8601; empty where ``end`` is no time."""
    try:
        ends = datetime.datetime.fromisoformat(end.replace("Z", "+00:00")).date()
    except ValueError:
        return ""
    return str((ends - datetime.date.fromisoformat(day)).days)
