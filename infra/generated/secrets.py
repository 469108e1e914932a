"""The stack's secrets as a resource: generated once, and kept in no other place than the stack's state, encrypted."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from infra.dynamic import DynamicProvider, Props, changed_inputs, inputs_of, update_or_replace
from infra.generated.values import digest, generate, renewed


class SecretsProvider(DynamicProvider):
    """Inputs: ``versions``. Outputs besides, both by name: ``values`` (secret) and ``digests``."""

    def create(self, props: Props) -> CreateResult:
        return CreateResult("secrets", _outputs(props, {name: generate(name) for name in sorted(props["versions"])}))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        return update_or_replace(changed_inputs(olds, news), replaced_by=frozenset())

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(_outputs(news, renewed(olds["values"], olds["versions"], news["versions"])))


def _outputs(props: Props, values: Mapping[str, str]) -> Props:
    return {
        **inputs_of(props),
        "values": dict(values),
        "digests": {name: digest(value) for name, value in values.items()},
    }


class Secrets(Resource, module="generated", name="Secrets"):
    """``values`` by name, a Pulumi secret; ``digests`` by name, which tell a pod that a secret of its has changed."""

    values: pulumi.Output[dict[str, str]]
    digests: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, *, versions: Mapping[str, int], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(
            SecretsProvider(),
            name,
            {"versions": dict(versions), "values": None, "digests": None},
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["values"])),
        )
