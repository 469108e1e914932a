"""Certificate authorities of the user's own network: for what calls out of the cluster, at run time, never in an image."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.errors import DeploymentError
from infra.kubernetes.files import AUTHORITIES
from infra.kubernetes.names import APPLICATION, AUTHORITIES_FILE

LARGEST_CONFIG_MAP = 1_000_000  # bytes; the API server takes 1 MiB with all that is round it
# OpenSSL's and pip's own words for the bundle that they trust instead of the image's.
OPENSSL_VARIABLE, PIP_VARIABLE = "SSL_CERT_FILE", "PIP_CERT"


def read_bundle(path: Path) -> str:
    """The PEM file's text. Raises :class:`DeploymentError` where it is none."""
    where = f"cluster.certificateAuthorities {path}"
    try:
        text = path.read_text(encoding="utf-8")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)  # as the application will read it
    except ssl.SSLError as error:
        raise DeploymentError(f"{where} holds no PEM certificates ({error.reason}).") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DeploymentError(
            f"{where} cannot be read ({getattr(error, 'strerror', None) or 'not text'}). "
            "Give the path of a PEM file on this machine, for example /etc/ssl/certs/ca-certificates.crt"
        ) from None
    if len(text.encode()) > LARGEST_CONFIG_MAP:
        raise DeploymentError(
            f"{where} has {len(text.encode())} bytes; {LARGEST_CONFIG_MAP} fit into a ConfigMap. Leave out what is not needed."
        )
    return text


@dataclass(frozen=True, kw_only=True)
class AuthoritiesArgs:
    """``bundle``: PEM of all that is trusted, the public ones included; it replaces the image's own."""

    namespace: pulumi.Input[str]
    bundle: str


class Authorities(pulumi.ComponentResource):
    """The ConfigMap that :func:`infra.kubernetes.files.authorities_mount` mounts."""

    def __init__(self, name: str, args: AuthoritiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Authorities", name, {}, opts)
        ConfigMap(
            name,
            metadata=ObjectMetaArgs(
                name=AUTHORITIES,
                namespace=args.namespace,
                labels={"app.kubernetes.io/part-of": APPLICATION, "app.kubernetes.io/managed-by": "pulumi"},
            ),
            data={PurePosixPath(AUTHORITIES_FILE).name: args.bundle},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def trusting(*variables: str) -> dict[str, str]:
    return dict.fromkeys(variables, AUTHORITIES_FILE)
