"""The target ``cluster``: any Kubernetes cluster, in a namespace of the stack's own."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pulumi
import pulumi_kubernetes

from infra import processes
from infra.access import AccessFiles, checked
from infra.credentials import Credentials
from infra.generated.certificate import Certificate
from infra.generated.secrets import Secrets
from infra.kubernetes.assistant import TYPE, AssistantArgs, RedisServer, assemble
from infra.kubernetes.connection import Connection, connection_of
from infra.kubernetes.exposure import url as address
from infra.kubernetes.gateway import certificate_hosts
from infra.kubernetes.images import Images, ImagesArgs
from infra.kubernetes.model_store import VolumeStore
from infra.kubernetes.names import GATEWAY_PORT
from infra.kubernetes.redis_connection import REDIS_PASSWORD, redis_of
from infra.kubernetes.secret_source import GeneratedSecrets
from infra.kubernetes.trust import read_bundle
from infra.outputs import Outputs
from infra.settings import Settings

# Where `make forward` opens a gateway that the cluster's network alone reaches.
FORWARDED = f"https://localhost:{GATEWAY_PORT}"
GENERIC_SECRETS = ("generic_webhook_secret", "generic_client_secret")


class ClusterAssistant(pulumi.ComponentResource):
    """The assistant by a kube-context, with what nothing but the stack gives it: secrets, a certificate, images.

    ``authorities``: PEM of what calls out trusts instead of the image's own bundle, if anything is given.
    ``given``: the credentials of its platforms, by name. ``access``: the files of tenants and roles.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        connection: Connection,
        authorities: str | None = None,
        given: Mapping[str, str] | None = None,
        access: AccessFiles | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(TYPE, name, {}, opts)
        self.settings = settings
        provider = pulumi_kubernetes.Provider(
            "kubernetes",
            context=connection.context,
            kubeconfig=connection.kubeconfig,
            # Changed in place: the pods that read them are rolled by a digest, and none finds them missing meanwhile.
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        child = pulumi.ResourceOptions(parent=self, providers=[provider])
        self.secrets = Secrets("secrets", versions=secret_versions(settings), opts=child)
        self.certificate = self._certificate(child)
        images = Images("images", ImagesArgs(settings=settings, connection=connection), child)
        self.parts = assemble(
            AssistantArgs(
                settings=settings,
                gateway_image=images.gateway,
                inference_image=images.inference,
                transport_image=images.transport,
                secrets=GeneratedSecrets(
                    secrets=self.secrets, external_password=settings.redis.password_secret, given=given or {}
                ),
                redis=redis_of(settings),
                redis_server=RedisServer(image=images.redis, secrets=self.secrets) if images.redis is not None else None,
                models=VolumeStore(storage=settings.storage),
                certificate=self.certificate,
                authorities=authorities,
                access=access or AccessFiles(),
                public_url=processes.public_url_of(settings, own_url(settings)),
                connection=connection,
            ),
            child,
        )
        self.url: pulumi.Input[str] = FORWARDED if within_the_cluster(settings) else self.parts.exposure.url
        self.register_outputs({"url": self.url})

    def _certificate(self, opts: pulumi.ResourceOptions) -> Certificate | None:
        settings = self.settings
        if settings.exposure.tls_secret:
            return None
        return Certificate(
            "certificate",
            hosts=certificate_hosts(settings),
            validity_days=settings.certificate.validity_days,
            renew_before_days=settings.certificate.renew_before_days,
            opts=opts,
        )

    def outputs(self) -> Outputs:
        connected = self.settings.platforms.generic.url is not None
        values, parts = self.secrets.values, self.parts
        reached = self.settings.public_url or self.url
        webhook_urls = {
            **({"generic": pulumi.Output.concat(self.url, "/events")} if connected else {}),
            **processes.webhook_urls(self.settings, reached),
        }
        return Outputs(
            target="cluster",
            url=self.url,
            webhook_urls=webhook_urls or None,
            redirect_uris=processes.redirect_uris(self.settings, reached),
            inference_url=parts.inference.url,
            ca_certificate=self.certificate.ca_certificate if self.certificate else None,
            api_key=values["api_key"],
            webhook_secrets={"generic": values["generic_webhook_secret"]} if connected else None,
            model_name=parts.report.model_name if parts.report else None,
            model_digest=parts.report.model_digest if parts.report else None,
            alarms=parts.monitoring.alarms or None,
        )


def within_the_cluster(settings: Settings) -> bool:
    """Whether nobody outside reaches the gateway, as far as we know: a host says that somebody does."""
    exposure = settings.exposure
    return exposure.kind == "service" and exposure.service_type == "ClusterIP" and exposure.host is None


def own_url(settings: Settings) -> str | None:
    """The gateway's address, where the settings say it: that of a load balancer is known when it is there, after the pods."""
    if within_the_cluster(settings):
        return FORWARDED
    return address(settings.exposure, "", None) if settings.exposure.host else None


def secret_versions(settings: Settings) -> dict[str, int]:
    """The secrets that this stack has, and their versions: none for what it is not connected to."""
    absent = {
        *(() if settings.platforms.generic.url else GENERIC_SECRETS),
        *(() if settings.redis.url is None else (REDIS_PASSWORD,)),
    }
    return {name: version for name, version in settings.secret_versions.generated().items() if name not in absent}


def deploy(settings: Settings) -> Outputs:
    """Raises :class:`infra.errors.DeploymentError` where there is no cluster, or a file is missing."""
    authorities = settings.cluster.certificate_authorities
    bundle = read_bundle(authorities) if authorities else None
    return ClusterAssistant(
        "assistant",
        settings,
        connection_of(settings, os.environ),
        bundle,
        given=Credentials(pulumi.get_stack()).given(settings.platforms),
        access=checked(settings),
    ).outputs()
