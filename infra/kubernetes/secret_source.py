"""Where the parts' secrets come from: what each is given of them, and the source that generates them in the stack's state."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Protocol, cast

import pulumi
from pulumi_kubernetes.core.v1 import (
    KeyToPathArgs,
    ProjectedVolumeSourceArgs,
    SecretProjectionArgs,
    VolumeArgs,
    VolumeProjectionArgs,
)

from infra.credentials import digest
from infra.generated.secrets import Secrets
from infra.kubernetes.container import Container, Mount
from infra.kubernetes.files import OWNER_AND_GROUP, secret
from infra.kubernetes.names import SECRETS_DIRECTORY, Part
from infra.kubernetes.redis_connection import REDIS_PASSWORD
from infra.kubernetes.workload import WorkloadArgs

VOLUME = "secrets"
# An external Redis' password stands in a Secret of the user's own, under this key.
EXTERNAL_PASSWORD_KEY = "password"  # noqa: S105 - the key's name


@dataclass(frozen=True, kw_only=True)
class PartSecrets:
    """The secrets of one part, as its pods have them.

    ``environment``: by variable, the file that holds its secret. ``reads``: see :class:`infra.kubernetes.pod.Pod`.
    ``init``: what brings them before the process starts. ``made``: the resources that must be there before the pods.
    """

    environment: Mapping[str, str]
    mount: Mount
    reads: Mapping[str, pulumi.Input[str]]
    init: tuple[Container, ...] = ()
    made: tuple[pulumi.Resource, ...] = ()


class SecretSource(Protocol):
    """``optional``: the optional credentials of platforms that there are (:mod:`infra.credentials`)."""

    @property
    def optional(self) -> Set[str]: ...

    def provide(
        self, part: Part, variables: Mapping[str, str], args: WorkloadArgs, opts: pulumi.ResourceOptions
    ) -> PartSecrets:
        """``variables``: by environment variable, the secret whose file ``<variable>_FILE`` names. No part is given another."""


@dataclass(frozen=True, kw_only=True)
class GeneratedSecrets:
    """A Kubernetes Secret for each part, with what the stack generated and what a person brought.

    ``external_password``: the user's own Secret for REDIS_PASSWORD, which then is none of ours.
    ``given``: the credentials of platforms, by name; in plain, and so shown to nobody.
    """

    secrets: Secrets
    external_password: str | None = None
    given: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def optional(self) -> Set[str]:
        return self.given.keys()

    def provide(
        self, part: Part, variables: Mapping[str, str], args: WorkloadArgs, opts: pulumi.ResourceOptions
    ) -> PartSecrets:
        names = set(variables.values())
        external = self.external_password if REDIS_PASSWORD in names else None
        ours = sorted(names - {REDIS_PASSWORD} if external else names)
        values, digests = self.secrets.values, self.secrets.digests
        content: dict[str, pulumi.Input[str]] = {
            name: self.given[name] if name in self.given else values[name] for name in ours
        }
        return PartSecrets(
            environment=file_variables(variables),
            mount=_mount(part, external),
            # Of those in the part's own Secret; nobody tells us when the user's own changes.
            reads={
                name: digest(name, self.given[name]) if name in self.given else cast("pulumi.Input[str]", digests[name])
                for name in ours
            },
            made=(secret(part, content, args.namespace, opts),),
        )


def file_variables(variables: Mapping[str, str]) -> dict[str, str]:
    return {f"{variable}_FILE": f"{SECRETS_DIRECTORY}/{name}" for variable, name in variables.items()}


def _mount(part: Part, external: str | None) -> Mount:
    sources = [VolumeProjectionArgs(secret=SecretProjectionArgs(name=part))]
    if external:
        item = KeyToPathArgs(key=EXTERNAL_PASSWORD_KEY, path=REDIS_PASSWORD)
        sources.append(VolumeProjectionArgs(secret=SecretProjectionArgs(name=external, items=[item])))
    projected = ProjectedVolumeSourceArgs(default_mode=OWNER_AND_GROUP, sources=sources)
    return Mount(volume=VolumeArgs(name=VOLUME, projected=projected), path=SECRETS_DIRECTORY)
