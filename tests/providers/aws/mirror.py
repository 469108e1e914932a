"""What programs call besides Pulumi. With :data:`VARIABLE`, the address of an emulator of AWS' APIs (moto), the few things that
are read or filled there by such calls exist there too, as soon as the stand-in has made them.

Nothing but the names is told to the emulator: a bucket, an empty secret, a user without a password.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

VARIABLE = "ASSISTANT_AWS_MIRROR"

Outputs = Mapping[str, Any]
Act = Callable[[Any, Outputs, str], object]


def _bucket(client: Any, outputs: Outputs, region: str) -> object:
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    return client.create_bucket(Bucket=outputs["bucket"], **place)


# Token -> service, what makes it, what removes it.
MIRRORED: Mapping[str, tuple[str, Act, Act]] = {
    "aws:s3/bucket:Bucket": (
        "s3",
        _bucket,
        lambda client, outputs, _region: _emptied(client, outputs["bucket"]),
    ),
    "aws:secretsmanager/secret:Secret": (
        "secretsmanager",
        lambda client, outputs, _region: client.create_secret(Name=outputs["name"]),
        lambda client, outputs, _region: client.delete_secret(SecretId=outputs["name"], ForceDeleteWithoutRecovery=True),
    ),
    "aws:memorydb/user:User": (
        "memorydb",
        lambda client, outputs, _region: client.create_user(
            UserName=outputs["userName"], AccessString=outputs["accessString"], AuthenticationMode={"Type": "iam"}
        ),
        lambda client, outputs, _region: client.delete_user(UserName=outputs["userName"]),
    ),
}


class Mirror:
    """Does nothing where no emulator is named. What is there already, or is gone already, stays so."""

    def __init__(self, endpoint: str | None) -> None:
        self._endpoint = endpoint

    def created(self, token: str, outputs: Outputs, region: str) -> None:
        self._act(token, 1, outputs, region)

    def deleted(self, token: str, outputs: Outputs, region: str) -> None:
        self._act(token, 2, outputs, region)

    def _act(self, token: str, step: int, outputs: Outputs, region: str) -> None:
        if self._endpoint is None or token not in MIRRORED:
            return
        import boto3
        from botocore.exceptions import ClientError

        service, act = MIRRORED[token][0], MIRRORED[token][step]
        keys = {"aws_access_key_id": "mirror", "aws_secret_access_key": "mirror"}
        with contextlib.suppress(ClientError):
            act(boto3.client(service, endpoint_url=self._endpoint, region_name=region, **keys), outputs, region)  # type: ignore[operator]


def _emptied(client: Any, bucket: str) -> object:
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            client.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"], BypassGovernanceRetention=True)
    return client.delete_bucket(Bucket=bucket)
