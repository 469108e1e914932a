"""The target ``cluster``: any Kubernetes cluster, in a namespace of the stack's own."""

from __future__ import annotations

import os

import pulumi
import pulumi_kubernetes

from infra.generated.authority import with_loopback
from infra.generated.certificate import Certificate
from infra.generated.secrets import Secrets
from infra.kubernetes.autoscaling import Autoscaling, AutoscalingArgs
from infra.kubernetes.connection import Connection, connection_of
from infra.kubernetes.exposure import Exposure, ExposureArgs
from infra.kubernetes.files import REDIS_PASSWORD
from infra.kubernetes.gateway import Gateway, GatewayArgs
from infra.kubernetes.images import Images, ImagesArgs
from infra.kubernetes.inference import Inference, InferenceArgs
from infra.kubernetes.model import Model, ModelArgs
from infra.kubernetes.model_report import ModelReport
from infra.kubernetes.monitoring import Monitoring, MonitoringArgs
from infra.kubernetes.names import GATEWAY_PORT
from infra.kubernetes.namespace import Namespace
from infra.kubernetes.network_policy import NetworkPolicies, NetworkPoliciesArgs
from infra.kubernetes.priority import PriorityClasses
from infra.kubernetes.redis import Redis, RedisArgs
from infra.kubernetes.trust import Authorities, AuthoritiesArgs, read_bundle
from infra.kubernetes.worker import Worker, WorkerArgs
from infra.outputs import Outputs
from infra.settings import Settings

# Where `make forward` opens a gateway that the cluster's network alone reaches.
FORWARDED = f"https://localhost:{GATEWAY_PORT}"
GENERIC_SECRETS = ("generic_webhook_secret", "generic_client_secret")


class ClusterAssistant(pulumi.ComponentResource):
    """Redis, the model, inference, gateway and worker, and what surrounds them, in one namespace.

    ``authorities``: PEM of what calls out trusts instead of the image's own bundle, if anything is given.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        connection: Connection,
        authorities: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("assistant:kubernetes:Assistant", name, {}, opts)
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
        self.images = Images("images", ImagesArgs(settings=settings, connection=connection), child)

        priorities = PriorityClasses("priority", settings.cluster.namespace, child)
        namespace = Namespace("namespace", settings.cluster.namespace, child).namespace_name
        surroundings: list[pulumi.Resource] = [
            priorities,
            NetworkPolicies("policy", NetworkPoliciesArgs(namespace=namespace, settings=settings), child),
        ]
        if authorities:
            surroundings.append(Authorities("authorities", AuthoritiesArgs(namespace=namespace, bundle=authorities), child))

        def after(*resources: pulumi.Resource) -> pulumi.ResourceOptions:
            return pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[*surroundings, *resources]))

        stores: list[pulumi.Resource] = []
        if self.images.redis is not None:
            redis = RedisArgs(namespace=namespace, settings=settings, image=self.images.redis, secrets=self.secrets)
            stores.append(Redis("redis", redis, after()))
        self.model = Model(
            "model",
            ModelArgs(namespace=namespace, settings=settings, image=self.images.inference, authorities=authorities),
            after(),
        )
        self.report = ModelReport(
            "model-report", namespace=namespace, job=self.model.job_name, connection=connection, opts=after(self.model)
        )
        self.inference = Inference(
            "inference",
            InferenceArgs(
                namespace=namespace,
                settings=settings,
                image=self.images.inference,
                secrets=self.secrets,
                model_path=self.model.path,
            ),
            after(self.model),
        )
        self.gateway = Gateway(
            "gateway",
            GatewayArgs(
                namespace=namespace,
                settings=settings,
                image=self.images.gateway,
                secrets=self.secrets,
                certificate=self.certificate,
            ),
            after(*stores, self.inference),
        )
        self.worker = Worker(
            "worker",
            WorkerArgs(
                namespace=namespace,
                settings=settings,
                image=self.images.gateway,
                secrets=self.secrets,
                authorities=authorities,
            ),
            after(*stores, self.inference),
        )
        workloads = (self.inference, self.gateway, self.worker)
        Autoscaling("autoscaling", AutoscalingArgs(namespace=namespace, settings=settings), after(*workloads))
        self.monitoring = Monitoring(
            "monitoring",
            MonitoringArgs(
                namespace=namespace,
                settings=settings,
                certificate=self.certificate.certificate if self.certificate else None,
            ),
            child,
        )
        self.exposure = Exposure(
            "exposure",
            ExposureArgs(
                namespace=namespace,
                settings=settings,
                ca_certificate=self.certificate.ca_certificate if self.certificate else None,
                tls_secret=self.gateway.tls_secret,
            ),
            after(self.gateway),
        )
        self.url: pulumi.Input[str] = FORWARDED if within_the_cluster(settings) else self.exposure.url
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
        values = self.secrets.values
        return Outputs(
            target="cluster",
            url=self.url,
            webhook_urls={"generic": pulumi.Output.concat(self.url, "/events")} if connected else None,
            inference_url=self.inference.url,
            ca_certificate=self.certificate.ca_certificate if self.certificate else None,
            api_key=values["api_key"],
            webhook_secrets={"generic": values["generic_webhook_secret"]} if connected else None,
            model_name=self.report.model_name,
            model_digest=self.report.model_digest,
            alarms=self.monitoring.alarms or None,
        )


def within_the_cluster(settings: Settings) -> bool:
    """Whether nobody outside reaches the gateway, as far as we know: a host says that somebody does."""
    exposure = settings.exposure
    return exposure.kind == "service" and exposure.service_type == "ClusterIP" and exposure.host is None


def secret_versions(settings: Settings) -> dict[str, int]:
    """The secrets that this stack has, and their versions: none for what it is not connected to."""
    absent = {
        *(() if settings.platforms.generic.url else GENERIC_SECRETS),
        *(() if settings.redis.url is None else (REDIS_PASSWORD,)),
    }
    return {name: version for name, version in settings.secret_versions.model_dump().items() if name not in absent}


def certificate_hosts(settings: Settings) -> tuple[str, ...]:
    """Every name under which the gateway is reached: through ``make forward``, from inside the cluster, and from outside."""
    service = f"gateway.{settings.cluster.namespace}"
    inside = ("gateway", service, f"{service}.svc", f"{service}.svc.cluster.local")
    outside = (settings.exposure.host,) if settings.exposure.host else ()
    return with_loopback((*inside, *outside, *settings.certificate.hosts))


def deploy(settings: Settings) -> Outputs:
    """Raises :class:`infra.errors.DeploymentError` where there is no cluster, or a file is missing."""
    authorities = settings.cluster.certificate_authorities
    bundle = read_bundle(authorities) if authorities else None
    return ClusterAssistant("assistant", settings, connection_of(settings, os.environ), bundle).outputs()
