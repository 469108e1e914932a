"""What one run of the pack saw and said, as JSON without a secret: from it comes all evidence, and what CI decides.

The analyzer writes it where ``ASSISTANT_POLICY_RECORD`` names a file. Values of no plain kind stand as mappings with one key:
``{"$secret": true}``, ``{"$unknown": true}``, ``{"$asset": "…"}``; what only looks like a secret is left out as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from policies.evaluation import Result
from policies.resource import Resource, project_of, stack_of
from policies.rule import Outcome
from policies.secret_scanning import scan
from policies.values import UNKNOWN, Asset, Secret, Strange, Value

FORMAT: Final = 1
VARIABLE: Final = "ASSISTANT_POLICY_RECORD"


class RecordMistake(Exception):
    """A file that is no record; the message is for the person who named it."""


@dataclass(frozen=True)
class Seen:
    """One resource: what went into it and, as far as it exists, what came out."""

    resource: Resource
    inputs: Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Record:
    """``day``: when the pack ran, ISO 8601; ``stand_ins``: no account was asked, the tests' stand-ins answered."""

    project: str
    stack: str
    source: str
    day: str
    version: str
    stand_ins: bool
    resources: Sequence[Seen]
    results: Sequence[Result]


def of_run(seen: Sequence[Seen], results: Sequence[Result], **run: Any) -> Record:
    urn = next((each.resource.urn for each in seen), "")
    return Record(project=project_of(urn), stack=stack_of(urn), resources=seen, results=results, **run)


def write(record: Record, file: Path) -> None:
    file.write_text(json.dumps(encoded(record), indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def encoded(record: Record) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "project": record.project,
        "stack": record.stack,
        "source": record.source,
        "day": record.day,
        "standIns": record.stand_ins,
        "pack": {"name": "assistant", "version": record.version},
        "resources": [_resource(seen) for seen in record.resources],
        "results": [
            {
                "rule": result.rule,
                "urn": result.urn,
                "outcome": result.outcome.value,
                "reasons": list(result.reasons),
                "waiver": result.waiver,
            }
            for result in record.results
        ],
    }


def read(file: Path) -> Record:
    """Raises :class:`RecordMistake`."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise RecordMistake(f"{file} is a record of format {document['format']}; this version reads format {FORMAT}")
        return Record(
            project=document["project"],
            stack=document["stack"],
            source=document["source"],
            day=document["day"],
            version=document["pack"]["version"],
            stand_ins=document["standIns"],
            resources=[_seen(resource) for resource in document["resources"]],
            results=[
                Result(each["rule"], each["urn"], Outcome(each["outcome"]), tuple(each["reasons"]), each["waiver"])
                for each in document["results"]
            ],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordMistake(f"{file} is no record of a run of the policy pack ({type(error).__name__})") from None


def _resource(seen: Seen) -> dict[str, Any]:
    resource = seen.resource
    return {
        "urn": resource.urn,
        "type": resource.type,
        "name": resource.name,
        "parent": resource.parent,
        "protect": resource.protected,
        "provider": resource.provider,
        "ignoreChanges": list(resource.ignored_changes),
        "dependencies": sorted(resource.dependencies),
        "propertyDependencies": {name: sorted(urns) for name, urns in resource.property_dependencies.items() if urns},
        "inputs": plain(dict(seen.inputs)),
        "properties": plain(dict(resource.properties)),
    }


def _seen(document: Mapping[str, Any]) -> Seen:
    resource = Resource(
        urn=document["urn"],
        type=document["type"],
        name=document["name"],
        properties={name: marked(value) for name, value in document["properties"].items()},
        ignored_changes=tuple(document["ignoreChanges"]),
        parent=document["parent"],
        dependencies=tuple(document["dependencies"]),
        property_dependencies={name: tuple(urns) for name, urns in document["propertyDependencies"].items()},
        protected=document["protect"],
        provider=document["provider"],
    )
    return Seen(resource, {name: marked(value) for name, value in document["inputs"].items()})


def plain(value: Value, keys: tuple[str, ...] = ()) -> Any:
    """``value`` for JSON, less everything secret."""
    if isinstance(value, Secret):
        return {"$secret": True}
    if value is UNKNOWN:
        return {"$unknown": True}
    if isinstance(value, Asset):
        return {"$asset": value.source or "text"}
    if isinstance(value, Strange):
        return {"$strange": value.what}
    if isinstance(value, dict):
        return {key: plain(item, (*keys, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, (*keys, f"[{position}]")) for position, item in enumerate(value)]
    if isinstance(value, str) and scan(keys, value):
        return {"$secret": True}
    return value


def marked(value: Any) -> Value:
    """The reverse of :func:`plain`; a secret comes back as a mark round what nobody knows."""
    if isinstance(value, dict):
        if value == {"$secret": True}:
            return Secret(UNKNOWN)
        if value == {"$unknown": True}:
            return UNKNOWN
        if set(value) == {"$asset"}:
            return Asset(str(value["$asset"]))
        if set(value) == {"$strange"}:
            return Strange(str(value["$strange"]))
        return {key: marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [marked(item) for item in value]
    return value  # type: ignore[no-any-return]
