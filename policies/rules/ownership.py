"""Whose a resource is and how confidential, said on the resource; and that what holds data cannot go by mistake."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from policies import taggable
from policies.resource import Malformed, Resource, Stack, View
from policies.rule import PASS, Finding, Relation, Rule, Severity, Verdict, fail, found, undetermined
from policies.rules import links
from policies.values import UNKNOWN, Value

TAGGABLE: Final = taggable.read()
TAGS: Final = ("Owner", "Environment", "DataClassification")
PROVIDER: Final = "pulumi:providers:aws"
# Its tags are a list, and the provider's default tags do not reach it.
SCALING_GROUP: Final = "aws:autoscaling/group:Group"

# What holds data, and the property by which the service itself refuses to delete it: its name and the value that protects.
STATEFUL: Final[Mapping[str, tuple[str, Value] | None]] = {
    "aws:s3/bucket:Bucket": None,
    "aws:s3/bucketV2:BucketV2": None,
    "aws:kms/key:Key": None,
    "aws:kms/replicaKey:ReplicaKey": None,
    "aws:secretsmanager/secret:Secret": None,
    "aws:backup/vault:Vault": None,
    "aws:memorydb/cluster:Cluster": None,
    "aws:elasticache/cluster:Cluster": None,
    "aws:elasticache/replicationGroup:ReplicationGroup": None,
    "aws:ebs/volume:Volume": None,
    "aws:efs/fileSystem:FileSystem": None,
    "aws:opensearch/domain:Domain": None,
    "aws:kinesis/stream:Stream": None,
    "aws:msk/cluster:Cluster": None,
    "aws:eks/cluster:Cluster": ("deletionProtection", True),
    "aws:rds/instance:Instance": ("deletionProtection", True),
    "aws:rds/cluster:Cluster": ("deletionProtection", True),
    "aws:docdb/cluster:Cluster": ("deletionProtection", True),
    "aws:neptune/cluster:Cluster": ("deletionProtection", True),
    "aws:dynamodb/table:Table": ("deletionProtectionEnabled", True),
    "aws:cognito/userPool:UserPool": ("deletionProtection", "ACTIVE"),
    "kubernetes:core/v1:PersistentVolumeClaim": None,
}


def labelled(stack: Stack, names: Sequence[str]) -> list[Finding]:
    return [
        found(resource, partial(_carries, stack, resource, names))
        for resource in stack.resources
        if resource.type in TAGGABLE or resource.type == SCALING_GROUP
    ]


def _carries(stack: Stack, resource: Resource, names: Sequence[str]) -> Verdict:
    tags, whole = _scaling_tags(resource) if resource.type == SCALING_GROUP else _tags(stack, resource)
    missing = [name for name in names if tags.get(name) in (None, "")]
    if not missing:
        return PASS
    if not whole:
        return undetermined(f"whether it carries {' and '.join(missing)} is not known before the update")
    return fail(f"it carries no tag {' and no '.join(missing)}, neither of its own nor by the provider's default tags")


def _tags(stack: Stack, resource: Resource) -> tuple[Mapping[str, Value], bool]:
    """The tags that a resource carries in the end, and whether that is all of them."""
    merged = _known(resource.view, "tagsAll")
    if merged:
        return merged, True
    own, defaults = _known(resource.view, "tags"), _defaults(stack, resource)
    return {**(defaults or {}), **(own or {})}, own is not None and defaults is not None


def _known(view: View, name: str) -> Mapping[str, Value] | None:
    """None where the tags are not known; tags whose values alone are unknown are there all the same."""
    if view.raw(name) is UNKNOWN:
        return None
    tags = view.mapping(name)
    return {key: tags.raw(key) for key in tags.names()} if tags else {}


def _defaults(stack: Stack, resource: Resource) -> Mapping[str, Value] | None:
    """What the resource's provider puts on everything: it says so in JSON. None where that is not known."""
    if not resource.provider:
        return {}
    # By URN in a run, by URN and id in an exported state.
    provider = stack.by_urn.get(resource.provider) or stack.by_urn.get(resource.provider.rpartition("::")[0])
    if provider is None or provider.view.raw("defaultTags") is UNKNOWN:
        return None
    value = provider.view.raw("defaultTags")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise Malformed("defaultTags of the provider", "JSON", "another text") from None
    view = View({"defaultTags": value})
    tags = view.within("defaultTags", "tags")
    return {key: tags.raw(key) for key in tags.names()} if tags else {}


def _scaling_tags(resource: Resource) -> tuple[Mapping[str, Value], bool]:
    if resource.view.raw("tags") is UNKNOWN:
        return {}, False
    return {tag.text("key") or "": tag.raw("value") for tag in resource.view.mappings("tags") or []}, True


def label_relation(names: Sequence[str]) -> Relation:
    reads = dict.fromkeys((*sorted(TAGGABLE), SCALING_GROUP), ("tags",))
    return Relation(reads={**reads, PROVIDER: ("defaultTags",)}, judge=partial(labelled, names=names))


def labels_of(rule: Rule, given: Mapping[str, Any]) -> Rule:
    return replace(rule, relations=(label_relation(tuple(given.get("tags", TAGS))),))


def protected(stack: Stack) -> list[Finding]:
    if not stack.production:
        return []
    return [found(resource, partial(_protected, resource)) for resource in stack.of_type(*STATEFUL)]


def _protected(resource: Resource) -> Verdict:
    own = STATEFUL[resource.type]
    if resource.protected:
        return PASS
    if own is None:
        return fail("it holds data and is not protected (the option protect): a wrong update could delete it")
    name, value = own
    return (
        PASS
        if resource.view.known(name) == value
        else fail(f"it is not protected: neither the option protect nor {name} is set")
    )


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R01",
        name="labelled",
        title="Every resource that takes tags carries owner, environment and data classification",
        severity=Severity.MEDIUM,
        controls=("5.9", "5.12", "5.13"),
        remedy="make it with the stack's own provider, whose default tags say so (aws.owner …), or tag it",
        link=links.LABELLING,
        relations=(label_relation(TAGS),),
        schema={"tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "default": list(TAGS)}},
        configure=labels_of,
    ),
    Rule(
        id="R12",
        name="stateful-protected",
        title="What holds data in a production stack is protected against deletion",
        severity=Severity.MEDIUM,
        controls=("5.33", "8.13"),
        remedy="leave `protection` on: it sets the option protect and the services' own protection against deletion",
        link=links.DELETION_PROTECTION,
        relations=(Relation(reads={kind: (own[0],) if own else () for kind, own in STATEFUL.items()}, judge=protected),),
    ),
)
