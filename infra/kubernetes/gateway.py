"""The gateway: the one part that the outside reaches. It ends TLS itself, whatever stands before it.

Its Service is :mod:`infra.kubernetes.exposure`'s, which says how the outside comes to it.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import Secret

from infra import processes
from infra.generated.authority import with_loopback
from infra.generated.certificate import Certificate
from infra.kubernetes.access import PodAccess
from infra.kubernetes.application import (
    PRE_STOP_SECONDS,
    base_environment,
    deployment,
    grace_seconds,
    neighbours,
    one_more,
)
from infra.kubernetes.configuration import digest_of
from infra.kubernetes.container import Container
from infra.kubernetes.files import authorities_mount, certificate_mount, encoded, encoded_secret
from infra.kubernetes.names import (
    CERTIFICATE_DIRECTORY,
    CERTIFICATE_SECRET,
    GATEWAY_PORT,
    METRICS_PORT,
)
from infra.kubernetes.pod import Pod
from infra.kubernetes.probes import http_probes
from infra.kubernetes.redis_connection import RedisConnection
from infra.kubernetes.secret_source import SecretSource
from infra.kubernetes.trust import OPENSSL_VARIABLE, trusting
from infra.kubernetes.workload import WorkloadArgs, disruption_budget, metadata, metrics_service_of, service_account
from infra.settings import Settings

# Load balancers outside the cluster look themselves; they see "not ready" for so long before anything is refused.
NOTICE_SECONDS = 5
READY_WITHIN = 300
FROM_FILES = {
    "TLS_CERTIFICATE": f"{CERTIFICATE_DIRECTORY}/tls.crt",
    "TLS_PRIVATE_KEY": f"{CERTIFICATE_DIRECTORY}/tls.key",
}
SELF_SIGNED = {"TLS_SELF_SIGNED": "true"}


@dataclass(frozen=True, kw_only=True)
class GatewayArgs(WorkloadArgs):
    """``certificate``: the stack's own, or None where ``settings.exposure.tls_secret`` names one.
    ``self_signed``: each pod makes one for itself, for a load balancer that encrypts and does not ask who is there.
    ``authorities``: PEM of what is trusted instead of the image's own, if anything is: a Redis may speak TLS.
    ``public_url``: where browsers and platforms reach it, where that is known and matters."""

    secrets: SecretSource
    redis: RedisConnection
    certificate: Certificate | None
    self_signed: bool = False
    authorities: str | None = None
    access: PodAccess = field(default_factory=PodAccess)
    public_url: str | None = None


class Gateway(pulumi.ComponentResource):
    """``tls_secret``: the name of the Secret with the certificate that is served, unless pods sign their own."""

    tls_secret: pulumi.Output[str] | None

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Gateway", name, {}, opts)
        settings, namespace = args.settings, args.namespace
        child = pulumi.ResourceOptions(parent=self)
        account = service_account("gateway", namespace, child)
        told = processes.gateway(settings, args.public_url, args.secrets.optional)
        variables = secret_variables(settings, args.redis, args.secrets.optional)
        secrets = args.secrets.provide("gateway", variables, args, child)
        self.tls_secret = self._tls_secret(args)
        disruption_budget("gateway", namespace, child)

        container = Container(
            name="gateway",
            image=args.image,
            command=["python", "-m", "app.gateway"],
            compute=settings.resources.gateway,
            environment={
                **base_environment(settings, GATEWAY_PORT, notice=NOTICE_SECONDS),
                **neighbours(args.redis),
                **secrets.environment,
                **told.environment,
                **args.access.environment(),
                **(SELF_SIGNED if self.tls_secret is None else FROM_FILES),
                **(trusting(OPENSSL_VARIABLE) if args.authorities else {}),
                **args.environment,
            },
            mounts=[
                secrets.mount,
                *([] if self.tls_secret is None else [certificate_mount(self.tls_secret)]),
                *([authorities_mount()] if args.authorities else []),
                *args.access.mounts(),
            ],
            ports={"https": GATEWAY_PORT, "metrics": METRICS_PORT},
            probes=http_probes("https", scheme="HTTPS", starts_within=60),
            pre_stop_seconds=PRE_STOP_SECONDS,
        )
        fingerprint = {"certificate": args.certificate.fingerprint} if args.certificate else {}
        trusted = {"authorities": digest_of(args.authorities)} if args.authorities else {}
        pod = Pod(
            part="gateway",
            settings=settings,
            container=container,
            init=secrets.init,
            grace_seconds=grace_seconds(pre_stop=PRE_STOP_SECONDS, notice=NOTICE_SECONDS),
            reads={**secrets.reads, **fingerprint, **trusted},
        )
        self.deployment = deployment(
            "gateway",
            namespace=namespace,
            pod=pod,
            update=one_more(),
            ready_within=READY_WITHIN,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, *secrets.made]),
        )
        metrics_service_of("gateway", namespace, child)
        self.register_outputs({"deployment": self.deployment.metadata.name})

    def _tls_secret(self, args: GatewayArgs) -> pulumi.Output[str] | None:
        certificate = args.certificate
        if args.self_signed:
            return None
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


def secret_variables(settings: Settings, redis: RedisConnection, optional: Set[str] = frozenset()) -> dict[str, str]:
    """By environment variable, the secret that it stands for."""
    connected = settings.platforms.generic.url is not None
    return {
        "API_KEY": "api_key",
        "INFERENCE_API_KEY": "inference_api_key",
        **redis.secrets(),
        **({"GENERIC_WEBHOOK_SECRET": "generic_webhook_secret"} if connected else {}),
        **processes.gateway(settings, None, optional).secrets,
    }


def certificate_hosts(settings: Settings) -> tuple[str, ...]:
    """Every name under which the gateway is reached: through ``make forward``, from inside the cluster, and from outside."""
    service = f"gateway.{settings.cluster.namespace}"
    inside = ("gateway", service, f"{service}.svc", f"{service}.svc.cluster.local")
    outside = (settings.exposure.host,) if settings.exposure.host else ()
    return with_loopback((*inside, *outside, *settings.certificate.hosts))
