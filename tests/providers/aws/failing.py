"""Failures on demand: at a chosen resource, as often as asked, in the words of AWS behind those of the provider."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aws.identifiers import digest
from aws.world import World

VARIABLE = "ASSISTANT_AWS_FAILURES"
OPERATIONS = ("create", "update", "delete")
ERRORS = ("QuotaExceeded", "InsufficientCapacity", "Throttling")
ATTEMPTS = 25  # the provider's own retries, unless `maxRetries` says otherwise


class FailuresError(Exception):
    """The variable does not say what it must."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """``each``: ``times`` is counted for every resource by itself. ``of``: of so many that it meets, about one, drawn by
    ``seed``, type and name, and so the same in stacks of any name."""

    urn: str  # with wildcards, as of a shell
    operation: Literal["create", "update", "delete"]
    error: Literal["QuotaExceeded", "InsufficientCapacity", "Throttling"]
    times: int = 1
    each: bool = False
    of: int = 1
    seed: str = ""

    def key(self, urn: str) -> str:
        drawn = [str(self.of), self.seed] if self.of > 1 else []
        return digest(self.urn, self.operation, self.error, *drawn, *([urn] if self.each else []))[:16]

    def meets(self, urn: str, operation: str) -> bool:
        named = fnmatch.fnmatchcase(urn, self.urn) or urn.rpartition("::")[2] == self.urn
        return operation == self.operation and named and self._draws(urn)

    def _draws(self, urn: str) -> bool:
        return self.of == 1 or int(digest(self.seed, *urn.split("::")[2:])[:8], 16) % self.of == 0


def rules(environ: Mapping[str, str]) -> tuple[Rule, ...]:
    text = environ.get(VARIABLE)
    if not text:
        return ()
    try:
        found = json.loads(text)
        made = tuple(Rule(**item) for item in found)
    except (ValueError, TypeError) as error:
        raise FailuresError(f"{VARIABLE} must be a list of objects with urn, operation, error and times: {error}") from None
    for rule in made:
        if rule.operation not in OPERATIONS or rule.error not in ERRORS or rule.times < 1 or rule.of < 1:
            raise FailuresError(
                f"{VARIABLE}: operation is one of {OPERATIONS}, error one of {ERRORS}, times and of at least 1: {rule}"
            )
    return made


def due(found: tuple[Rule, ...], world: World, urn: str, operation: str) -> Rule | None:
    """The rule by which this operation fails now; it is counted. Called while the world is being changed."""
    for rule in found:
        if rule.meets(urn, operation) and world.failed(rule.key(urn)) < rule.times:
            world.count_failure(rule.key(urn))
            return rule
    return None


_QUOTAS: Mapping[str, tuple[int, str, str]] = {
    "ec2": (400, "VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit allows for the "
            "instance bucket that the specified instance type belongs to."),
    "eks": (400, "ResourceLimitExceededException", "You have reached the limit for this resource in your account."),
    "iam": (409, "LimitExceeded", "Cannot exceed quota for this resource in your account."),
    "s3": (400, "TooManyBuckets", "You have attempted to create more buckets than allowed"),
    "elasticloadbalancing": (400, "TooManyLoadBalancers", "You've reached the limit on the number of load balancers."),
}  # fmt: skip


def message(rule: Rule, service: str, service_id: str, operation: str, inputs: Mapping[str, Any], zone: str) -> str:
    """As aws-sdk-go-v2 words it inside the provider: operation, attempts, status, code and text."""
    request = digest(rule.urn, operation)[:8] + "-0000-4000-8000-000000000000"
    if rule.error == "Throttling":
        code = "Throttling" if service in ("ec2", "iam", "elasticloadbalancing") else "ThrottlingException"
        return (
            f"operation error {service_id}: {operation}, exceeded maximum number of attempts, {ATTEMPTS}, "
            f"https response error StatusCode: 400, RequestID: {request}, api error {code}: Rate exceeded"
        )
    if rule.error == "InsufficientCapacity":
        types = inputs.get("instanceTypes") or [inputs.get("instanceType") or "the requested instance type"]
        code, status = "InsufficientInstanceCapacity", 500
        text = (
            f"We currently do not have sufficient {types[0]} capacity in the Availability Zone you requested ({zone}). "
            "Our system will be working on provisioning additional capacity."
        )
    else:
        status, code, text = _QUOTAS.get(
            service, (400, "LimitExceededException", "You have exceeded the quota for this resource in your account.")
        )
    return (
        f"operation error {service_id}: {operation}, https response error StatusCode: {status}, "
        f"RequestID: {request}, api error {code}: {text}"
    )
