"""Outputs that AWS would have computed, made up from their types, names and documentation; the same for the same resource."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from plugin.values import UNKNOWN, is_secret

from aws import service_models
from aws.identifiers import Identity, arn_service, digest, name_keys
from aws.partitions import ACCOUNT, Region
from aws.sdk import Properties, Property, Resource, Sdk, Type
from aws.texts import Setting, text

DEPTH = 5  # of nested types: WAF's statements hold statements
_DEFAULT = re.compile(
    r"(?:[Dd]efaults? (?:value )?(?:is|to|of)|default(?: value| for this attribute)? is):? "
    r"(?:`\"?([\w.:/-]+)\"?`|(\d+|true|false)\b)"
)
_VALID = re.compile(r"[Vv]alid (?:values|options)(?: are|:| include)*:? *`\"?([^`\"]+)\"?`")
# Outputs that are empty unless something else was done.
_EMPTY = frozenset(
    {("Route", "instanceId"), ("Route", "networkInterfaceId"), ("Route", "instanceOwnerId"), ("Eip", "associationId")}
)


def outputs(sdk: Sdk, resource: Resource, setting: Setting, previous: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything that is in the state after a create, or after an update from the ``previous`` outputs."""
    inputs = {key: value for key, value in setting.inputs.items() if not key.startswith("__")}
    found: dict[str, Any] = {}
    for name, declared in resource.outputs.items():
        if name in inputs and name not in ("tagsAll",):
            found[name] = _filled(sdk, resource, name, declared.type, inputs[name], setting)
        elif previous is not None and name in previous and name not in ("tagsAll", "latestVersion") and declared.required:
            found[name] = previous[name]
        elif declared.required:
            found[name] = _top(sdk, resource, declared, setting)
    if "latestVersion" in found:
        found["latestVersion"] = int((previous or {}).get("latestVersion") or 0) + 1
    return found


def preview(resource: Resource, setting: Setting) -> dict[str, Any]:
    """What is known before a create: the inputs, and the tags."""
    inputs = {key: value for key, value in setting.inputs.items() if not key.startswith("__")}
    found = dict(inputs)
    for name, declared in resource.outputs.items():
        if name not in inputs and declared.required:
            found[name] = UNKNOWN
    return found | known(resource, setting)


def known(resource: Resource, setting: Setting) -> dict[str, Any]:
    """What needs no answer of AWS."""
    found: dict[str, Any] = {}
    if "tagsAll" in resource.outputs and setting.inputs.get("tags") != UNKNOWN:
        found["tagsAll"] = tags_all(setting.inputs, setting.default_tags)
    if "region" in resource.outputs:
        found["region"] = setting.inputs.get("region") or setting.region.name
    return found


def tags_all(inputs: Mapping[str, Any], default_tags: Mapping[str, str]) -> dict[str, Any]:
    return {**default_tags, **(inputs.get("tags") or {})}


def _top(sdk: Sdk, resource: Resource, declared: Property, setting: Setting) -> Any:
    told = known(resource, setting)
    name = declared.name
    if name in told:
        return told[name]
    if name in ("id", "arn"):
        return setting.identity.id if name == "id" else setting.identity.arn
    if name == "arnSuffix":
        return setting.identity.arn.rpartition(":")[2].removeprefix("loadbalancer/")
    if name.endswith("Prefix") or (setting.noun, name) in _EMPTY:
        return ""
    if name in name_keys(resource):
        return setting.identity.name
    if (own := _own(name, setting)) is not None:
        return own
    if name == "fqdn":
        return _fqdn(setting)
    if name == "arnWithoutRevision":
        return setting.identity.arn.rpartition(":")[0]
    if name == "domainValidationOptions":
        return _validations(setting)
    if (
        name in ("availabilityZone", "availabilityZoneId")
        and {"availabilityZone", "availabilityZoneId"} <= resource.outputs.keys()
    ):
        zone = setting.inputs.get("availabilityZone")
        index = setting.region.zones.index(zone) if zone in setting.region.zones else int(digest(setting.seed)[:4], 16) % 3
        return (setting.region.zones if name == "availabilityZone" else setting.region.zone_ids)[index]
    if name == "vpcId":
        for subnet in [*_strings(setting.inputs.get("subnets")), *_strings(setting.inputs.get("subnetIds"))]:
            if (parent := setting.lookup(subnet)) and parent.get("vpcId"):
                return parent["vpcId"]
    if name == "ownerId" or name.endswith("AccountId"):
        return ACCOUNT
    given = name in resource.inputs  # computed where it is not given: AWS' default, and not one of everything
    return value(sdk, declared, setting, ("",), sample=not given)


def _own(name: str, setting: Setting) -> str | None:
    """keyId of a Key, associationId of a PodIdentityAssociation, accessEntryArn of an AccessEntry: its own."""
    stem = name[:1].upper() + name[1:]
    number = setting.identity.id
    if name in ("allocationId", "securityGroupRuleId") and number.startswith(("eipalloc-", "sgr-")):
        return number
    if stem.endswith("Arn") and setting.noun.endswith(stem.removesuffix("Arn")):
        return setting.identity.arn
    opaque = number.startswith("Z") or re.fullmatch(r"[a-z]+-[0-9a-f]{16,17}|[0-9a-f-]{36}", number)
    return number if opaque and stem.endswith("Id") and setting.noun.endswith(stem.removesuffix("Id")) else None


def _fqdn(setting: Setting) -> str:
    name = str(setting.inputs.get("name") or "").rstrip(".")
    zone = setting.lookup(str(setting.inputs.get("zoneId"))) or {}
    domain = str(zone.get("name") or "").rstrip(".")
    return name if not domain or name == domain or name.endswith(f".{domain}") else f"{name}.{domain}"


def _strings(items: Any) -> list[str]:
    return [item for item in items or () if isinstance(item, str)]


def value(sdk: Sdk, declared: Property, setting: Setting, path: tuple[str, ...] = (), *, sample: bool = True) -> Any:
    """A value of the property's type. ``sample``: lists and maps hold one element rather than none."""
    kind = declared.type
    if kind.kind == "object" and kind.reference:
        return _object(sdk, sdk.nested(kind.reference), setting, (*path, declared.name), sample) if len(path) < DEPTH else {}
    if kind.kind == "list":
        return _list(sdk, declared, setting, path) if sample else []
    if kind.kind in ("map", "any"):
        return {} if kind.kind == "map" else ""
    default = _documented(declared)
    if kind.kind == "bool":
        return default == "true"
    if kind.kind in ("int", "float"):
        number = _number(default)
        return number if number is not None else _numeric(declared.name, setting)
    if not sample and len(path) > 1:
        return default or ""
    return text(declared, setting, path, default, sample)


def _object(sdk: Sdk, properties: Properties, setting: Setting, path: tuple[str, ...], sample: bool) -> dict[str, Any]:
    if not sample:  # AWS' defaults, as far as the documentation tells them
        properties = {name: item for name, item in properties.items() if item.required or _documented(item) is not None}
    return {name: value(sdk, item, setting, path, sample=sample) for name, item in properties.items()}


def _list(sdk: Sdk, declared: Property, setting: Setting, path: tuple[str, ...]) -> list[Any]:
    item = declared.type.item or Type(kind="str")
    if declared.name == "nameServers":
        return [f"ns-{index}.awsdns-{index:02}.{domain}" for index, domain in enumerate(("com", "net", "org", "co.uk"), 1)]
    if declared.name.endswith("AvailabilityZones") or declared.name == "availabilityZones":
        return list(setting.region.zones)
    if item.kind == "object" and len(path) + 1 >= DEPTH:
        return []
    singular = re.sub(r"(?<=[a-z])s$", "", declared.name)
    element = Property(name=singular, type=item, required=True, doc="")
    return [value(sdk, element, setting, path)]


def _documented(declared: Property) -> str | None:
    match = _DEFAULT.search(declared.doc)
    if match is None and declared.type.kind == "str":
        match = _VALID.search(declared.doc)
    return next((group.rstrip(".,") for group in match.groups() if group), None) if match else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _numeric(name: str, setting: Setting) -> int:
    lower = name.lower()
    if lower == "revision":
        return int(setting.identity.arn.rpartition(":")[2]) if setting.identity.arn.rpartition(":")[2].isdigit() else 1
    if lower.endswith("port"):
        return {"memorydb": 6379, "elasticache": 6379, "rds": 5432}.get(setting.service, 443)
    return 1 if "version" in lower else 0


def _validations(setting: Setting) -> list[dict[str, str]]:
    """A record for each name of a certificate; a wildcard shares that of its domain."""
    names = [setting.inputs.get("domainName"), *(setting.inputs.get("subjectAlternativeNames") or [])]
    found = {}
    for name in dict.fromkeys(str(name) for name in names if name):
        domain = name.removeprefix("*.")
        token = digest(domain, "validation")
        found[name] = {
            "domainName": name,
            "resourceRecordName": f"_{token[:32]}.{domain}.",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": f"_{token[32:]}.acm-validations.aws.",
        }
    return list(found.values())


def _filled(sdk: Sdk, resource: Resource, name: str, kind: Type, given: Any, setting: Setting) -> Any:
    """What is given, with what AWS adds to it: nested outputs that are always there, and those that only its answer has."""
    if kind.kind == "list" and isinstance(given, list) and kind.item:
        return [_filled(sdk, resource, name, kind.item, item, setting) for item in given]
    if kind.kind != "object" or not isinstance(given, Mapping) or not kind.reference or is_secret(given):
        return given
    declared = sdk.nested(kind.reference)
    found = {
        key: _filled(sdk, resource, key, declared[key].type, item, setting) if key in declared else item
        for key, item in given.items()
    }
    answered = _only_answered(resource, name)
    for key, item in declared.items():
        if key not in found and (item.required or service_models.loose(key) in answered):
            found[key] = value(sdk, item, setting, (name,))
    if "vpcId" in found and "vpcId" not in given:
        for subnet in _strings(given.get("subnetIds")):
            if (parent := setting.lookup(subnet)) and parent.get("vpcId"):
                found["vpcId"] = parent["vpcId"]
    return found


def retained(sdk: Sdk, resource: Resource, name: str, kind: Type, given: Any, previous: Any) -> Any:
    """What is given, with what a former answer had added within it: a preview of an update does not forget that."""
    if kind.kind == "list" and isinstance(given, list) and isinstance(previous, list) and kind.item:
        before = [*previous, *[None] * len(given)]
        return [retained(sdk, resource, name, kind.item, item, old) for item, old in zip(given, before, strict=False)]
    if kind.kind != "object" or not kind.reference or not isinstance(given, Mapping) or not isinstance(previous, Mapping):
        return given
    if is_secret(given) or is_secret(previous):
        return given
    declared = sdk.nested(kind.reference)
    found = {
        key: retained(sdk, resource, key, declared[key].type, item, previous.get(key)) if key in declared else item
        for key, item in given.items()
    }
    answered = _only_answered(resource, name)
    for key, item in declared.items():
        if key not in found and key in previous and (item.required or service_models.loose(key) in answered):
            found[key] = previous[key]
    return found


def _only_answered(resource: Resource, name: str) -> frozenset[str]:
    """Members that the service gives back within the property ``name``, but does not take there."""
    operation = service_models.creating(resource.module, resource.noun)
    if operation is None or operation.response is None:
        return frozenset()
    asked = service_models.nested_member(operation, operation.request, name, resource.noun)
    told = service_models.nested_member(operation, operation.response, name, resource.noun)
    if asked is None or told is None:
        return frozenset()
    members = [{service_models.loose(member) for member in operation.members(shape)} for shape in (told, asked)]
    return frozenset(members[0] - members[1])


def setting_for(
    resource: Resource,
    identity: Identity,
    region: Region,
    inputs: Mapping[str, Any],
    default_tags: Mapping[str, str],
    lookup: Callable[[str], Mapping[str, Any] | None],
) -> Setting:
    return Setting(
        region=region,
        identity=identity,
        service=arn_service(resource),
        noun=resource.noun,
        inputs=inputs,
        default_tags=default_tags,
        lookup=lookup,
    )
