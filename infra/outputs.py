"""The contract that every target fulfils: one set of names, so that one acceptance suite and one set of tools serve all.

What a target does not have is null. Pulumi stores a null output as an absent one: read the outputs with ``.get(name)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pulumi
from pydantic.alias_generators import to_camel


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a stack tells its user. Exported in camel case: ``webhook_urls`` as ``webhookUrls``.

    ``webhook_urls``, ``redirect_uris`` and ``webhook_secrets`` are by platform. ``egress_addresses``: what to enter where a
    platform wants trusted addresses. ``ca_certificate``: PEM of the authority that signed ``url``'s certificate, null
    where it is a public one. ``api_key`` and ``webhook_secrets`` are Pulumi secrets in ``local``, references elsewhere.
    ``estimated_monthly_cost``: US dollars.
    """

    target: str
    url: pulumi.Input[str] | None = None
    console_url: pulumi.Input[str] | None = None
    webhook_urls: Mapping[str, pulumi.Input[str]] | None = None
    redirect_uris: Mapping[str, pulumi.Input[str]] | None = None
    egress_addresses: Sequence[pulumi.Input[str]] | None = None
    inference_url: pulumi.Input[str] | None = None
    ca_certificate: pulumi.Input[str] | None = None
    api_key: pulumi.Input[str] | None = None
    webhook_secrets: Mapping[str, pulumi.Input[str]] | None = None
    model_name: pulumi.Input[str] | None = None
    model_digest: pulumi.Input[str] | None = None
    alarms: Sequence[pulumi.Input[str]] | None = None
    estimated_monthly_cost: pulumi.Input[float] | None = None

    def by_name(self) -> dict[str, Any]:
        """The exported names and their values, in the contract's order."""
        return {to_camel(field.name): getattr(self, field.name) for field in fields(self)}

    def export(self) -> None:
        for name, value in self.by_name().items():
            pulumi.export(name, value)
