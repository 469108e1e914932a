"""``make bootstrap STACK=prod``: a bucket for the stack's state and a key for what is secret in it, and the stack itself there.

Each step looks first, so that a second run, or one after an interruption, makes only what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.context import partition_of, tags
from infra.aws.session import client, session
from tools.aws import backend
from tools.aws.means import whoami
from tools.pulumi.environment import STATE, engine_environment, remember_backend
from tools.stack.engine import Engine, EngineError

PURPOSE = {"Purpose": "pulumi-state"}
OLD_STATE_DAYS = 365  # how long a replaced version of the state can be had back
UPLOAD_DAYS = 7
Say = Callable[[str], None]


def run(engine: Engine, say: Say) -> int:
    engine.configure()
    settings = engine.settings()
    identity, problem = whoami(settings)
    if identity is None:
        raise EngineError(f"{problem}\nNothing was changed.")
    if settings.aws.account and identity.account != settings.aws.account:
        raise EngineError(
            f"The credentials are of account {identity.account}, and aws.account of stack {engine.stack} is "
            f"{settings.aws.account}. Nothing was changed."
        )
    region, name = settings.aws.region, backend.bucket_name(engine.stack, identity.account, settings.aws.region)
    say(f"account {identity.account}, region {region}, as {identity.arn}")
    opened = session(region, settings.aws.profile)
    labels = {**tags(engine.stack, settings), "ManagedBy": "make bootstrap", **PURPOSE}
    key = ensure_key(client(opened, "kms"), client(opened, "resourcegroupstaggingapi"), engine.stack, labels, say)
    ensure_bucket(client(opened, "s3"), name, region, key, labels, say)
    url, provider = backend.addresses(engine.stack, identity.account, settings, engine.environment.get("AWS_ENDPOINT_URL"))
    remember_backend(engine.checkout / STATE, engine.stack, url)
    say(f"backend  {url} (written to {STATE}/backends.json; elsewhere: PULUMI_BACKEND_URL)")
    environment = engine_environment(engine.checkout, environment=engine.environment, stack=engine.stack)
    ensure_stack(Engine(checkout=engine.checkout, stack=engine.stack, environment=environment), provider, say)
    say(f"\nNext: make preflight STACK={engine.stack}, make up STACK={engine.stack}")
    return 0


def ensure_key(kms: Any, tagging: Any, stack: str, labels: dict[str, str], say: Say) -> str:
    """The key's ARN. A key without its alias, left by an interruption, is found by its tags."""
    alias = backend.alias_name(stack)
    try:
        found: str = kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"]
    except kms.exceptions.NotFoundException:
        found = _orphaned_key(kms, tagging, stack) or _new_key(kms, stack, labels, say)
        kms.create_alias(AliasName=alias, TargetKeyId=found)
        say(f"key      {alias} made")
    else:
        say(f"key      {alias} is there")
    kms.enable_key_rotation(KeyId=found)
    return found


def _new_key(kms: Any, stack: str, labels: dict[str, str], say: Say) -> str:
    listed = [{"TagKey": key, "TagValue": value} for key, value in labels.items()]
    say("key      making it")
    made = kms.create_key(Description=f"Secrets in the Pulumi state of the assistant's stack {stack}", Tags=listed)
    return str(made["KeyMetadata"]["Arn"])


def _orphaned_key(kms: Any, tagging: Any, stack: str) -> str | None:
    wanted = {"Application": "assistant", "Environment": stack, **PURPOSE}
    filters = [{"Key": key, "Values": [value]} for key, value in wanted.items()]
    for mapping in tagging.get_resources(TagFilters=filters, ResourceTypeFilters=["kms:key"])["ResourceTagMappingList"]:
        if kms.describe_key(KeyId=mapping["ResourceARN"])["KeyMetadata"]["KeyState"] == "Enabled":
            return str(mapping["ResourceARN"])
    return None


def ensure_bucket(s3: Any, name: str, region: str, key: str, labels: dict[str, str], say: Say) -> None:
    """Versioned, encrypted by ``key``, open to nobody, by TLS alone; what is there already is set to the same again."""
    if _is_there(s3, name):
        say(f"bucket   {name} is there")
    else:
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerEnforced", **place)
        say(f"bucket   {name} made")
    blocked = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=blocked)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    encryption = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": encryption, "BucketKeyEnabled": True}]
        },
    )
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(tls_only(name, region)))
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration=lifecycle())
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in labels.items()]})
    say("bucket   versioned, encrypted by the key, TLS only, no public access, old versions kept for a year")


def _is_there(s3: Any, name: str) -> bool:
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
            return False
        raise EngineError(
            f"The bucket {name} is there, and these credentials may not use it ({error.response['Error']['Code']}): it is "
            "another account's, or the credentials lack s3:ListBucket."
        ) from None
    return True


def tls_only(name: str, region: str) -> dict[str, Any]:
    arn = f"arn:{partition_of(region).name}:s3:::{name}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def lifecycle() -> dict[str, Any]:
    return {
        "Rules": [
            {
                "ID": "old-versions",
                "Status": "Enabled",
                "Filter": {"Prefix": ""},
                "NoncurrentVersionExpiration": {"NoncurrentDays": OLD_STATE_DAYS},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOAD_DAYS},
            }
        ]
    }


def ensure_stack(engine: Engine, provider: str, say: Say) -> None:
    if engine.exists():
        say(f"stack    {engine.stack} is there")
        return
    engine.read("stack", "init", engine.stack, "--secrets-provider", provider, "--non-interactive", stack_flag=False)
    say(f"stack    {engine.stack} made, its secrets encrypted by {provider.partition('?')[0]}")
