"""What a pod reads as files: its secrets, the serving certificate, the certificate authorities it trusts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import pulumi
from pulumi_kubernetes.core.v1 import (
    ConfigMapVolumeSourceArgs,
    KeyToPathArgs,
    Secret,
    SecretVolumeSourceArgs,
    VolumeArgs,
)

from infra.kubernetes.container import Mount
from infra.kubernetes.names import (
    ACCESS_DIRECTORY,
    AUTHORITIES_FILE,
    CERTIFICATE_DIRECTORY,
    TENANT_SECRETS_DIRECTORY,
    Part,
)
from infra.kubernetes.workload import metadata

OWNER_AND_GROUP = 0o440
EVERYBODY = 0o444  # of the one user in the container
AUTHORITIES = "authorities"
ACCESS = "access"


def secret(
    part: Part, values: Mapping[str, pulumi.Input[str]], namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> Secret:
    """The Secret named as the part, with ``values`` by file name."""
    data = {name: encoded_secret(value) for name, value in values.items()}
    return Secret(f"{part}-secret", metadata=metadata(part, namespace), type="Opaque", data=data, opts=opts)


def certificate_mount(secret_name: pulumi.Input[str]) -> Mount:
    source = SecretVolumeSourceArgs(secret_name=secret_name, default_mode=OWNER_AND_GROUP)
    return Mount(volume=VolumeArgs(name="certificate", secret=source), path=CERTIFICATE_DIRECTORY)


def authorities_mount() -> Mount:
    source = ConfigMapVolumeSourceArgs(name=AUTHORITIES, default_mode=EVERYBODY)
    return Mount(volume=VolumeArgs(name=AUTHORITIES, config_map=source), path=str(PurePosixPath(AUTHORITIES_FILE).parent))


def access_mount(paths: Iterable[str]) -> Mount:
    """The ConfigMap of :mod:`infra.kubernetes.access`, whole: a change of it reaches a running pod within about a minute."""
    items = [KeyToPathArgs(key=access_key(path), path=path) for path in paths]
    source = ConfigMapVolumeSourceArgs(name=ACCESS, default_mode=EVERYBODY, items=items)
    return Mount(volume=VolumeArgs(name=ACCESS, config_map=source), path=ACCESS_DIRECTORY)


def tenant_secrets_mount(secret_name: str) -> Mount:
    """A Secret of the user's own, a file each key, to which the tenants' file refers."""
    source = SecretVolumeSourceArgs(secret_name=secret_name, default_mode=OWNER_AND_GROUP)
    return Mount(volume=VolumeArgs(name="tenant-secrets", secret=source), path=TENANT_SECRETS_DIRECTORY)


def access_key(path: str) -> str:
    """A ConfigMap's key has no slashes."""
    return path.replace("/", "__")


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def encoded_secret(value: pulumi.Input[str]) -> pulumi.Output[str]:
    """As a Secret's ``data`` wants it, and never shown by the engine."""
    return pulumi.Output.secret(value).apply(encoded)
