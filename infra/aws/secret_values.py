"""The values of the stack's secrets, as a resource that holds none of them: it sees to it that each secret has one, and knows
the ids of the versions, which tell whoever reads a secret that it has changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from botocore.exceptions import BotoCoreError, ClientError
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from infra.aws.secret_writing import write
from infra.aws.session import client, session
from infra.credentials import Credentials
from infra.dynamic import DynamicProvider, Props, changed_inputs, inputs_of, present, update_or_replace
from infra.errors import DeploymentError


class SecretValuesProvider(DynamicProvider):
    """Inputs: ``places`` (pairs of our name and the one in Secrets Manager), ``numbers``, ``region``, ``profile``,
    ``redis_user``, ``stack``. Outputs besides: ``version_ids`` by name. A raised number gets a new value, unless
    `make secrets` wrote it before. A platform's credentials are taken from where the stack's person entered them."""

    def create(self, props: Props) -> CreateResult:
        return CreateResult("secret-values", _outputs(props))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        return update_or_replace(changed_inputs(olds, news), replaced_by=frozenset())

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(_outputs(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        return present(id_, props)


def _outputs(props: Props) -> Props:
    opened = session(props["region"], props.get("profile"))
    # Numbers travel as floats.
    numbers = {name: int(number) for name, number in props["numbers"].items()}
    user, places = props.get("redis_user"), dict(props["places"])
    brought = Credentials(props["stack"]).brought(places, os.environ) if props.get("stack") else {}
    try:
        written = write(client(opened, "secretsmanager"), client(opened, "memorydb"), places, numbers, user, brought)
    except (BotoCoreError, ClientError) as error:
        raise DeploymentError(f"the stack's secrets cannot be written: {error}") from None
    return {**inputs_of(props), "version_ids": {name: one.version for name, one in written.items()}}


@dataclass(frozen=True, kw_only=True)
class SecretValuesArgs:
    """``secrets``: names in Secrets Manager by ours (:func:`infra.aws.naming.secret_name`). ``numbers``: the setting
    ``secretVersions``. ``redis_user``: of MemoryDB, whose password ``redis_password`` is. ``stack``: whose platforms'
    credentials are among them, None where none are."""

    secrets: Mapping[str, str]
    numbers: Mapping[str, int]
    region: str
    profile: str | None = None
    redis_user: pulumi.Input[str] | None = None
    stack: str | None = None


class SecretValues(Resource, module="aws", name="SecretValues"):
    """``version_ids`` by name. Depends on the secrets and on the user: say so with ``depends_on``."""

    version_ids: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, args: SecretValuesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(
            SecretValuesProvider(),
            name,
            {
                # Pairs under this name: whoever looks for secrets in plain looks under names that say secret.
                "places": [list(pair) for pair in sorted(args.secrets.items())],
                "numbers": dict(args.numbers),
                "region": args.region,
                "profile": args.profile,
                "redis_user": args.redis_user,
                **({"stack": args.stack} if args.stack else {}),
                "version_ids": None,
            },
            opts,
        )
