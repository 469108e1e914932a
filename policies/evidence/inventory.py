"""Keys, certificates and secrets of the stack: what there is, how it is renewed and who uses it. Names alone, no value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from policies.evidence.reading import (
    COMPONENTS,
    NOT_KNOWN,
    days_between,
    list_of,
    mapping_of,
    metadata_of,
    of_types,
    output_of,
    short_type,
    text_of,
    value_of,
    words,
)
from policies.evidence.table import Table
from policies.record import Seen
from policies.relations import means
from policies.resource import Stack
from policies.values import Value

KEY: Final = "aws:kms/key:Key"
VALIDATION: Final = "aws:acm/certificateValidation:CertificateValidation"
ALIAS: Final = "aws:kms/alias:Alias"
ACM: Final = "aws:acm/certificate:Certificate"
# Made by the stack itself (infra/generated, infra/local): a process of the program, hence of Pulumi's dynamic provider.
GENERATED: Final = ("pulumi-python:dynamic/generated:Certificate", "pulumi-python:dynamic/local:Certificate")
SECRET: Final = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a type
ROTATION: Final = "aws:secretsmanager/secretRotation:SecretRotation"
VERSIONS: Final = "pulumi-python:dynamic/aws:SecretValues"
KUBERNETES_SECRET: Final = "kubernetes:core/v1:Secret"  # noqa: S105 - a type
GENERATED_SECRETS: Final = ("pulumi-python:dynamic/generated:Secrets", "pulumi-python:dynamic/local:Secrets")
BY_HAND: Final = "RotationByHand"


def keys(seen: Sequence[Seen]) -> Table:
    stack = Stack([each.resource for each in seen])
    rows = []
    for key in of_types(seen, KEY):
        aliases = [text_of(each, "name") for each in of_types(seen, ALIAS) if means(each.resource, "targetKeyId", key.resource)]
        period = text_of(key, "rotationPeriodInDays")
        rows.append(
            (
                key.resource.name,
                text_of(key, "description"),
                ", ".join(sorted(aliases)),
                text_of(key, "enableKeyRotation", "no") + (f", every {period} days" if period else ""),
                text_of(key, "deletionWindowInDays", "30"),
                "yes" if key.resource.protected else "no",
                ", ".join(_consumers(stack, key)) or "none in this stack",
            )
        )
    return Table(
        name="keys",
        title="Keys in KMS",
        columns=("key", "purpose", "aliases", "rotation", "deletion window in days", "protected", "used by"),
        rows=rows,
        empty="The record has no key of KMS.",
    )


def certificates(seen: Sequence[Seen], day: str) -> Table:
    stack = Stack([each.resource for each in seen])
    rows = []
    for each in of_types(seen, ACM):
        names = [text_of(each, "domainName"), *map(words, list_of(value_of(each, "subjectAlternativeNames")))]
        issued = f"AWS Certificate Manager, validated by {text_of(each, 'validationMethod', 'an import')}"
        # What serves it waits for the validation, and names that.
        validated = [other for other in of_types(seen, VALIDATION) if means(other.resource, "certificateArn", each.resource)]
        used_by = sorted({user for one in (each, *validated) for user in _consumers(stack, one)})
        rows.append((each.resource.name, _distinct(names), issued, *_validity(each, day), ", ".join(used_by)))
    for each in of_types(seen, *GENERATED):
        hosts = _distinct(map(words, list_of(value_of(each, "hosts"))))
        renewed = f"the stack itself, for {text_of(each, 'validityDays')} days, anew {text_of(each, 'renewBeforeDays')} before"
        rows.append((each.resource.name, hosts, renewed, *_validity(each, day), ", ".join(_consumers(stack, each))))
    return Table(
        name="certificates",
        title="Certificates",
        columns=("certificate", "names", "issued by", "ends", "days left", "used by"),
        rows=rows,
        note="Days left: on the day of the record. AWS renews its certificates by itself while their DNS records stand.",
        empty="The record has no certificate.",
    )


def _distinct(names: Sequence[str] | Iterator[str] | map[str]) -> str:
    return ", ".join(dict.fromkeys(name for name in names if name))


def _validity(seen: Seen, day: str) -> tuple[str, str]:
    ends = output_of(seen, "notAfter")
    return (ends, days_between(day, ends)) if ends != NOT_KNOWN else (ends, "")


def secrets(seen: Sequence[Seen]) -> Table:
    stack = Stack([each.resource for each in seen])
    versions = {name: words(version) for each in of_types(seen, VERSIONS) for name, version in _numbers(each, "numbers")}
    rotations = of_types(seen, ROTATION)
    rows = []
    for each in of_types(seen, SECRET):
        name = text_of(each, "name", each.resource.name)
        by_itself = [rotation for rotation in rotations if means(rotation.resource, "secretId", each.resource)]
        by_hand = words(mapping_of(value_of(each, "tags")).get(BY_HAND))
        rows.append(
            (
                name,
                "AWS Secrets Manager",
                _rotation(by_itself) or (f"by hand: {by_hand}" if by_hand else "none declared"),
                versions.get(name.rpartition("/")[2], ""),
                _key_of(stack, each),
                text_of(each, "recoveryWindowInDays"),
            )
        )
    for each in of_types(seen, KUBERNETES_SECRET):
        name = f"{words(metadata_of(each, 'namespace'))}/{words(metadata_of(each, 'name')) or each.resource.name}"
        made = ", ".join(
            sorted({urn.rpartition("::")[2] for urns in each.resource.property_dependencies.values() for urn in urns})
        )
        rows.append(
            (name, f"Kubernetes, {text_of(each, 'type', 'Opaque')}", f"with {made}" if made else "by an update", "", "", "")
        )
    for each in of_types(seen, *GENERATED_SECRETS):
        rows += [
            (name, f"the stack ({each.resource.name})", "by hand: raise secretVersions", words(version), "", "")
            for name, version in _numbers(each, "versions")
        ]
    return Table(
        name="secrets",
        title="Secrets",
        columns=("secret", "kept in", "rotation", "version", "encrypted with", "recovery window in days"),
        rows=rows,
        note="Names alone. Version: the number by which a person asks for a new value (secretVersions).",
        empty="The record has no secret.",
    )


def _numbers(seen: Seen, name: str) -> list[tuple[str, Value]]:
    """By the secret's name, which of its values is the current one."""
    return sorted(mapping_of(value_of(seen, name)).items())


def _rotation(rotations: Sequence[Seen]) -> str:
    days = [words(mapping_of(value_of(each, "rotationRules")).get("automaticallyAfterDays")) for each in rotations]
    return f"by itself, every {days[0]} days" if days else ""


def _key_of(stack: Stack, secret: Seen) -> str:
    if value_of(secret, "kmsKeyId") is None:
        return "AWS' own key"
    found = [key.name for key in stack.of_type(KEY) if means(secret.resource, "kmsKeyId", key)]
    return ", ".join(found) or text_of(secret, "kmsKeyId")


def _consumers(stack: Stack, used: Seen) -> list[str]:
    """Who uses the resource, by the value or by the edges of a property: ``Secret secrets-api_key``."""
    target = used.resource
    found = set()
    for child in stack.resources:
        if child.urn == target.urn or child.type == ALIAS or child.type.startswith(COMPONENTS):
            continue
        # An output that is not known yet could mean anything; the edges of the inputs are what tells.
        if any(target.urn in urns for urns in child.property_dependencies.values()) or any(
            means(child, name, target) for name in child.properties if name not in child.property_dependencies
        ):
            found.add(f"{short_type(child.type)} {child.name}")
    return sorted(found)
