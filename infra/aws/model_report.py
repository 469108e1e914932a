"""Which model lies in the bucket under the stack's recipe: its name and digest, for the outputs.

:mod:`infra.dynamic` says why this module cannot be renamed.
"""

from __future__ import annotations

from typing import cast

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from infra.aws.models import RESULTS, published, results
from infra.dynamic import DynamicProvider, Props, changed_inputs, inputs_of, update_or_replace
from infra.errors import DeploymentError


class PublishedModelProvider(DynamicProvider):
    """Inputs: ``region``, ``profile``, ``url`` (s3://bucket/prefix), ``recipeKey``, ``job`` (another one has published anew).
    Outputs besides: ``modelName``, ``modelDigest``, null while nothing is published."""

    def create(self, props: Props) -> CreateResult:
        return CreateResult(str(props["recipeKey"])[:16], _outputs(props))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = changed_inputs(olds, news)
        if any(olds.get(name) is None for name in RESULTS):
            changed.append("modelDigest")
        return update_or_replace(changed, replaced_by=frozenset())

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(_outputs(news))


def _outputs(props: Props) -> Props:
    from botocore.exceptions import BotoCoreError, ClientError

    from infra.aws.session import client, session

    try:
        s3 = client(session(props["region"], props.get("profile")), "s3")
        found = published(s3, props["url"], props["recipeKey"])
    except (BotoCoreError, ClientError) as error:
        raise DeploymentError(f"The models' bucket cannot be read: {error}") from None
    return {**inputs_of(props), **results(found)}


class PublishedModel(Resource, module="aws", name="PublishedModel"):
    """``model_name`` and ``model_digest``. Depends on what publishes: say so with ``depends_on``."""

    def __init__(
        self,
        name: str,
        *,
        region: str,
        profile: str | None,
        url: pulumi.Input[str],
        recipe_key: str,
        job: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {
            "region": region,
            "profile": profile,
            "url": url,
            "recipeKey": recipe_key,
            "job": job,
            **dict.fromkeys(RESULTS),
        }
        super().__init__(PublishedModelProvider(), name, properties, opts)

    @property
    def model_name(self) -> pulumi.Output[str]:
        return cast("pulumi.Output[str]", self.__dict__["modelName"])

    @property
    def model_digest(self) -> pulumi.Output[str]:
        return cast("pulumi.Output[str]", self.__dict__["modelDigest"])
