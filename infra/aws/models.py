"""The models' bucket: where in it they lie, who may read or publish one, and what lies under a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi

from infra.aws.context import AwsContext
from infra.aws.identity import Statement
from infra.dynamic import Props
from infra.errors import DeploymentError

if TYPE_CHECKING:
    from app.models.manifest import Manifest
    from infra.aws.storage import Storage

PREFIX = "models"
# What a stack's outputs say of a model.
RESULTS = ("modelName", "modelDigest")
MISSING = ("NoSuchKey", "404", "NotFound")


def models_url(storage: Storage) -> pulumi.Output[str]:
    return pulumi.Output.concat("s3://", storage.models.bucket_name, "/", PREFIX)


def models_statements(
    context: AwsContext, bucket_arn: pulumi.Input[str], key_arn: pulumi.Input[str], *, write: bool
) -> list[Statement]:
    """Read the models, or publish one. Nobody who has these may delete."""
    objects = ("s3:GetObject", *(("s3:PutObject", "s3:AbortMultipartUpload") if write else ()))
    uses = ("kms:Decrypt", *(("kms:GenerateDataKey",) if write else ()))
    via = {"StringEquals": {"kms:ViaService": f"s3.{context.region}.{context.partition.dns_suffix}"}}
    return [
        Statement(objects, (pulumi.Output.concat(bucket_arn, "/*"),), sid="Models"),
        # Without it, what is not there yet is answered as forbidden.
        Statement(("s3:ListBucket",), (bucket_arn,), sid="Bucket"),
        Statement(uses, (key_arn,), conditions=via, sid="Key"),
    ]


def published(s3: Any, url: str, recipe_key: str) -> Manifest | None:
    """The manifest of what the recipe made, where it lies in the bucket whole. Raises :class:`DeploymentError`."""
    from botocore.exceptions import ClientError

    from app.models import manifest
    from app.models.bucket import Bucket
    from app.models.errors import ModelError

    try:
        place = Bucket(url)
        key = "/".join(filter(None, (place.prefix, "recipes", f"{recipe_key}.json")))
        return manifest.parse(s3.get_object(Bucket=place.name, Key=key)["Body"].read(), place.uri(key))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in MISSING:
            return None
        raise
    except ModelError as error:
        raise DeploymentError(str(error)) from None


def results(found: Manifest | None) -> Props:
    return {"modelName": found.name, "modelDigest": found.digest} if found else dict.fromkeys(RESULTS)
