"""The gateway: the one part that the outside reaches. It ends TLS itself, whatever stands before it.

Its Service is :mod:`infra.kubernetes.exposure`'s, which says how the outside comes to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import Secret

from infra.generated.certificate import Certificate
from infra.generated.secrets import Secrets
from infra.kubernetes.application import (
    PRE_STOP_SECONDS,
    base_environment,
    deployment,
    grace_seconds,
    neighbours,
    one_more,
    redis_secret,
)
from infra.kubernetes.container import Container
from infra.kubernetes.files import SecretFiles, certificate_mount, encoded, encoded_secret
from infra.kubernetes.names import (
    CERTIFICATE_DIRECTORY,
    CERTIFICATE_SECRET,
    GATEWAY_PORT,
    METRICS_PORT,
)
from infra.kubernetes.pod import Pod
from infra.kubernetes.probes import http_probes
from infra.kubernetes.workload import WorkloadArgs, disruption_budget, metadata, metrics_service_of, service_account
from infra.settings import Settings

# Load balancers outside the cluster look themselves; they see "not ready" for so long before anything is refused.
NOTICE_SECONDS = 5
READY_WITHIN = 300


@dataclass(frozen=True, kw_only=True)
class GatewayArgs(WorkloadArgs):
    """``certificate``: the stack's own, or None where ``settings.exposure.tls_secret`` names one."""

    secrets: Secrets
    certificate: Certificate | None


class Gateway(pulumi.ComponentResource):
    """``tls_secret``: the name of the Secret with the certificate that is served."""

    tls_secret: pulumi.Output[str]

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Gateway", name, {}, opts)
        settings, namespace = args.settings, args.namespace
        child = pulumi.ResourceOptions(parent=self)
        files = secret_files(settings)
        account = service_account("gateway", namespace, child)
        secret = files.secret(args.secrets.values, namespace, child)
        self.tls_secret = self._tls_secret(args)
        disruption_budget("gateway", namespace, child)

        certificate = certificate_mount(self.tls_secret)
        container = Container(
            name="gateway",
            image=args.image,
            command=["python", "-m", "app.gateway"],
            compute=settings.resources.gateway,
            environment={
                **base_environment(settings, GATEWAY_PORT, notice=NOTICE_SECONDS),
                **neighbours(settings),
                **files.environment(),
                "TLS_CERTIFICATE": f"{CERTIFICATE_DIRECTORY}/tls.crt",
                "TLS_PRIVATE_KEY": f"{CERTIFICATE_DIRECTORY}/tls.key",
            },
            mounts=[files.mount(), certificate],
            ports={"https": GATEWAY_PORT, "metrics": METRICS_PORT},
            probes=http_probes("https", scheme="HTTPS", starts_within=60),
            pre_stop_seconds=PRE_STOP_SECONDS,
        )
        fingerprint = {"certificate": args.certificate.fingerprint} if args.certificate else {}
        pod = Pod(
            part="gateway",
            settings=settings,
            container=container,
            grace_seconds=grace_seconds(pre_stop=PRE_STOP_SECONDS, notice=NOTICE_SECONDS),
            reads={**files.digests(args.secrets.digests), **fingerprint},
        )
        self.deployment = deployment(
            "gateway",
            namespace=namespace,
            pod=pod,
            update=one_more(),
            ready_within=READY_WITHIN,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, secret]),
        )
        metrics_service_of("gateway", namespace, child)
        self.register_outputs({"deployment": self.deployment.metadata.name})

    def _tls_secret(self, args: GatewayArgs) -> pulumi.Output[str]:
        certificate = args.certificate
        if certificate is None:
            return pulumi.Output.from_input(args.settings.exposure.tls_secret or CERTIFICATE_SECRET)
        secret = Secret(
            "gateway-certificate",
            metadata=metadata("gateway", args.namespace, CERTIFICATE_SECRET),
            type="kubernetes.io/tls",
            data={
                "tls.crt": certificate.certificate.apply(encoded),
                "tls.key": encoded_secret(certificate.key),
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        return secret.metadata.name


def secret_files(settings: Settings) -> SecretFiles:
    connected = settings.platforms.generic.url is not None
    return SecretFiles(
        part="gateway",
        variables={
            "API_KEY": "api_key",
            "INFERENCE_API_KEY": "inference_api_key",
            **redis_secret(settings),
            **({"GENERIC_WEBHOOK_SECRET": "generic_webhook_secret"} if connected else {}),
        },
        external_password=settings.redis.password_secret,
    )
