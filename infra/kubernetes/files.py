"""What a pod reads as files: its secrets, the serving certificate, the certificate authorities it trusts."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import cast

import pulumi
from pulumi_kubernetes.core.v1 import (
    ConfigMapVolumeSourceArgs,
    KeyToPathArgs,
    ProjectedVolumeSourceArgs,
    Secret,
    SecretProjectionArgs,
    SecretVolumeSourceArgs,
    VolumeArgs,
    VolumeProjectionArgs,
)

from infra.kubernetes.container import Mount
from infra.kubernetes.names import AUTHORITIES_FILE, CERTIFICATE_DIRECTORY, SECRETS_DIRECTORY, Part
from infra.kubernetes.workload import metadata

OWNER_AND_GROUP = 0o440
EVERYBODY = 0o444  # of the one user in the container
AUTHORITIES = "authorities"
# An external Redis' password stands in a Secret of the user's own, under this key.
EXTERNAL_PASSWORD_KEY = "password"  # noqa: S105 - the key's name
REDIS_PASSWORD = "redis_password"  # noqa: S105 - the secret's name


@dataclass(frozen=True, kw_only=True)
class SecretFiles:
    """The secrets of one part. ``variables``: by environment variable, the secret whose file it names.

    ``external_password``: the user's own Secret for REDIS_PASSWORD, which then is none of ours.
    """

    part: Part
    variables: Mapping[str, str]
    external_password: str | None = None

    @property
    def ours(self) -> tuple[str, ...]:
        """The secrets that stand in the part's own Secret."""
        names = sorted(set(self.variables.values()))
        return tuple(name for name in names if not (self.external_password and name == REDIS_PASSWORD))

    def environment(self) -> dict[str, str]:
        return {f"{variable}_FILE": f"{SECRETS_DIRECTORY}/{name}" for variable, name in self.variables.items()}

    def mount(self) -> Mount:
        sources = [VolumeProjectionArgs(secret=SecretProjectionArgs(name=self.part))]
        if self.external_password:
            item = KeyToPathArgs(key=EXTERNAL_PASSWORD_KEY, path=REDIS_PASSWORD)
            sources.append(VolumeProjectionArgs(secret=SecretProjectionArgs(name=self.external_password, items=[item])))
        volume = VolumeArgs(name="secrets", projected=ProjectedVolumeSourceArgs(default_mode=OWNER_AND_GROUP, sources=sources))
        return Mount(volume=volume, path=SECRETS_DIRECTORY)

    def digests(self, digests: Mapping[str, pulumi.Input[str]] | pulumi.Output[dict[str, str]]) -> dict[str, pulumi.Input[str]]:
        """Of those in the part's own Secret; nobody tells us when the user's own changes."""
        return {name: cast("pulumi.Input[str]", digests[name]) for name in self.ours}

    def secret(
        self, values: pulumi.Output[dict[str, str]], namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> Secret:
        """The part's Secret: nothing in it that the part does not read."""
        return secret(self.part, {name: values[name] for name in self.ours}, namespace, opts)


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


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def encoded_secret(value: pulumi.Input[str]) -> pulumi.Output[str]:
    """As a Secret's ``data`` wants it, and never shown by the engine."""
    return pulumi.Output.secret(value).apply(encoded)
