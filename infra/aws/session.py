"""AWS' own API, as the commands and the dynamic resources ask it: short time-outs, and no waiting for a metadata service
that only a machine of EC2 has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import botocore.session

VENDOR = Path("/sys/class/dmi/id/sys_vendor")  # what cloud-init looks at too
METADATA_DISABLED = "AWS_EC2_METADATA_DISABLED"
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 3, 15, 3


def on_ec2(vendor: Path = VENDOR, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a role of the machine may be asked for. The answer costs nothing, the question elsewhere costs seconds."""
    if METADATA_DISABLED in environment:
        return environment[METADATA_DISABLED].lower() != "true"
    try:
        return "Amazon EC2" in vendor.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False


def session(region: str, profile: str | None = None) -> Any:
    """A boto3 session. Raises :class:`botocore.exceptions.ProfileNotFound`."""
    core = botocore.session.Session(profile=profile)
    if not on_ec2():
        core.get_component("credential_provider").remove("iam-role")
    return boto3.session.Session(botocore_session=core, region_name=region)


def client(opened: Any, service: str, region: str | None = None) -> Any:
    """A client of ``session``'s; AWS_ENDPOINT_URL names another place than AWS, as everywhere."""
    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    settings = botocore.config.Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
    return opened.client(service, region_name=region, config=settings)
