"""Names that the program leaves out: ``<resource>-<7 hexadecimal digits>``, as the real plugin gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws.identifiers import digest, name_keys
from aws.sdk import Resource

SUFFIX = 7
DEFAULTS = "__defaults"  # the bridge's list of inputs that it has filled in
# Longest names, where a resource's own name and the suffix may go beyond.
LONGEST: Mapping[str, int] = {
    "lb/loadBalancer:LoadBalancer": 32,
    "lb/targetGroup:TargetGroup": 32,
    "iam/role:Role": 64,
    "s3/bucket:Bucket": 63,
    "sqs/queue:Queue": 80,
    "memorydb/cluster:Cluster": 40,
}
_AUTOMATIC = ("name", "bucket")


class NameTooLongError(Exception):
    pass


def named(
    resource: Resource, inputs: dict[str, Any], own: str, previous: Mapping[str, Any], seed: str, proposed: str = ""
) -> dict[str, Any]:
    """``inputs`` with a name, where the SDK makes it optional: the program's, the one it got before, or a new one."""
    key = next((key for key in name_keys(resource) if key in _AUTOMATIC), None)
    if key is None or resource.inputs[key].required or resource.noun.startswith("Default"):
        return {**inputs, DEFAULTS: []}
    output = resource.outputs.get(key)
    prefix = next((other for other in inputs if other == f"{key}Prefix" and inputs[other]), None)
    if inputs.get(key) is not None or prefix or (output and not output.required):
        return {**inputs, DEFAULTS: []}
    if key in (previous.get(DEFAULTS) or []) and previous.get(key):
        return {**inputs, key: previous[key], DEFAULTS: [key]}
    made = proposed or f"{own}-{digest(seed, own)[:SUFFIX]}"
    made = made.lower() if key == "bucket" else made
    longest = LONGEST.get(resource.token.removeprefix("aws:"), 255)
    if len(made) > longest:
        raise NameTooLongError(
            f"name '{own}' plus {SUFFIX} random chars is longer than maximum length {longest}; give it a {key}"
        )
    return {**inputs, key: made, DEFAULTS: [key]}
