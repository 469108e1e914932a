"""Where the state of an AWS stack lies, and what encrypts it: a disk and a passphrase of one machine are not for production."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from infra.aws.naming import BUCKET, physical
from infra.settings import Settings
from tools.pulumi.environment import STATE, own_backend

OVERRIDE = "ASSISTANT_ALLOW_LOCAL_STATE"
FORGIVING = "dev"  # the profile whose state may lie on this machine
BUCKETS = ("s3://", "gs://", "azblob://")  # where the engine encrypts by what the stack's file names


def problem(environment: Mapping[str, str], document: Mapping[str, Any], stack: str, profile: str | None) -> str | None:
    """Why an `up` must not write its state there, or None. ``document``: the stack's configuration file. Pure."""
    if profile == FORGIVING or environment.get(OVERRIDE) == "1":
        return None
    url = environment.get("PULUMI_BACKEND_URL", "")
    provider = str(document.get("secretsprovider") or "")
    if url.startswith("file://"):
        reason = f"lies on this machine's disk ({url}): no one else could deploy it, and it is lost with the disk"
    elif "encryptionsalt" in document or provider == "passphrase" or (url.startswith(BUCKETS) and not provider):
        reason = "is encrypted by a passphrase of this machine, which no one else has and nothing rotates"
    else:
        return None
    return (
        f"The state of {stack} {reason}. Nothing was changed.\n"
        f"A bucket and a KMS key for it: make bootstrap STACK={stack}\n"
        f"If you mean it so: {OVERRIDE}=1 make up STACK={stack}"
    )


def standin_problem(environment: Mapping[str, str], checkout: Path) -> str | None:
    """Why stand-ins must not write there, or None: what they make is nowhere but in the state. Pure."""
    url = environment.get("PULUMI_BACKEND_URL", "")
    if url.startswith("file://") and url != own_backend(checkout / STATE):
        return None
    return (
        f"Stand-ins would write into the state at {url or 'the default backend'} that AWS holds what it does not. Nothing was "
        "changed.\nGive them a place of their own: PULUMI_BACKEND_URL=file://<a folder of its own>"
    )


def bucket_name(stack: str, account: str, region: str) -> str:
    return physical(stack, "state", account, region, longest=BUCKET)


def alias_name(stack: str) -> str:
    return f"alias/{physical(stack, 'state', longest=200)}"


def addresses(stack: str, account: str, settings: Settings, endpoint: str | None = None) -> tuple[str, str]:
    """The backend's address and the secrets provider's, as the engine takes them. ``endpoint``: in place of AWS, which
    answers at bucket names in front of its own; others often do not. Pure."""
    options = {"region": settings.aws.region, "awssdk": "v2"}
    if settings.aws.profile:
        options["profile"] = settings.aws.profile
    bucket = options | ({"endpoint": endpoint, "use_path_style": "true"} if endpoint else {})
    key = options | ({"endpoint": endpoint} if endpoint else {})
    name = bucket_name(stack, account, settings.aws.region)
    return f"s3://{name}?{urlencode(bucket)}", f"awskms:///{alias_name(stack)}?{urlencode(key)}"
