"""The target ``eks``: AWS with a Kubernetes of the stack's own. Infrastructure and application are one graph: the pods run the
images that this stack pushes, and nothing rolls out before what it needs is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from infra import costs, processes
from infra.access import AccessFiles, checked
from infra.aws import emulated
from infra.aws.alarms import CloudWatchAlarms, CloudWatchAlarmsArgs
from infra.aws.context import AwsContext, context, provider
from infra.aws.edge import Edge, EdgeArgs
from infra.aws.foundation import Foundation, FoundationArgs
from infra.aws.identity import Statement
from infra.aws.kubernetes import AwsKubernetes, AwsKubernetesArgs
from infra.aws.model_report import PublishedModel
from infra.aws.models import models_statements, models_url
from infra.aws.naming import emf_namespace
from infra.aws.node_pools import architecture_of
from infra.aws.pod_identity import PodIdentities, PodIdentitiesArgs
from infra.aws.queue import Queue, QueueArgs, vpc_peers
from infra.aws.secrets import read_statements
from infra.kubernetes import gateway, inference, transport, worker
from infra.kubernetes.assistant import Assistant, AssistantArgs
from infra.kubernetes.aws_edges import WITH_CREDENTIALS, aws_edges
from infra.kubernetes.delivered_secrets import DeliveredSecrets
from infra.kubernetes.drain import Drain, DrainArgs
from infra.kubernetes.edges import Surroundings
from infra.kubernetes.gpu_gate import which_pools
from infra.kubernetes.model_store import BucketStore
from infra.kubernetes.names import Part
from infra.kubernetes.target_group import TargetGroups
from infra.kubernetes.trust import read_bundle
from infra.outputs import Outputs
from infra.recipe import recipe
from infra.settings import Settings


class EksAssistant(pulumi.ComponentResource):
    """Everything of it. ``authorities``: PEM of what is trusted instead of the images' own bundle, if anything is given.
    ``access``: the files of tenants and roles."""

    def __init__(
        self,
        name: str,
        context: AwsContext,
        authorities: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
        access: AccessFiles | None = None,
    ) -> None:
        super().__init__("assistant:aws:EksAssistant", name, {}, opts)
        self._access, self._transports = access or AccessFiles(), processes.transports(context.settings)
        self._context, self._child = context, pulumi.ResourceOptions(parent=self)
        settings, child = context.settings, self._child
        self.foundation = Foundation(
            "foundation",
            FoundationArgs(
                context=context,
                images=images(settings),
                architecture=architecture_of(settings.eks.system_pool.instance_types),
            ),
            child,
        )
        self.edge = Edge(
            "edge",
            EdgeArgs(
                context=context,
                network=self.foundation.network,
                access_logs=self.foundation.storage.access_logs,
                log_key_arn=self.foundation.keys.arn("logs"),
            ),
            child,
        )
        self.kubernetes = AwsKubernetes(
            "kubernetes", AwsKubernetesArgs(context=context, foundation=self.foundation, edge=self.edge), child
        )
        clients = {"pods": self.kubernetes.cluster.security_group_id}
        self.queue = Queue("queue", QueueArgs(context=context, foundation=self.foundation, clients=clients), child)
        self.models_url = models_url(self.foundation.storage)
        identities = PodIdentities(
            "pods",
            PodIdentitiesArgs(
                context=context,
                cluster_name=self.kubernetes.cluster.cluster_name,
                namespace=settings.cluster.namespace,
                rights=self._rights(),
            ),
            child,
        )
        self.assistant = Assistant(
            "assistant-pods",
            self._assistant(authorities),
            pulumi.ResourceOptions(
                parent=self,
                providers=[self.kubernetes.provider],
                depends_on=[*self.kubernetes.ready, *identities.ready, *self.queue.ready, self.edge.listener],
            ),
        )
        model = self.assistant.parts.model
        self.model = PublishedModel(
            "model-report",
            region=context.region,
            profile=settings.aws.profile,
            url=self.models_url,
            recipe_key=recipe(settings).key,
            job=model.job_name,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[model.job]),
        )
        self.alarms = CloudWatchAlarms(
            "alarms",
            CloudWatchAlarmsArgs(
                context=context,
                topic_arn=self.foundation.notifications.topic_arn,
                dimensions=self._dimensions(),
            ),
            child,
        )
        drain = DrainArgs(
            namespace=self.assistant.parts.namespace,
            kubeconfig=self.kubernetes.cluster.kubeconfig,
            transports=self._transports,
        )
        parts = [self.foundation, self.edge, self.kubernetes, self.queue, identities, self.assistant]
        Drain(
            "drain",
            drain,
            # The first to go, before anything else: what it drains, and what it needs for that, still stands; and a destroy
            # that is broken off before it has drained can run the program again, which finds all of the stack there.
            pulumi.ResourceOptions(
                parent=self, providers=[self.kubernetes.provider], depends_on=[*parts, self.model, self.alarms]
            ),
        )
        self.register_outputs({"url": self.edge.url})

    def _rights(self) -> Mapping[Part, Sequence[Statement]]:
        """What each part asks of AWS: its own secrets, and the models for the one that makes and the one that serves them."""
        context, settings, foundation = self._context, self._context.settings, self.foundation
        arns, secrets_key = foundation.secrets.arns, foundation.keys.arn("secrets")
        redis = self.queue.connection

        def secrets(variables: Mapping[str, str]) -> list[Statement]:
            names = sorted(set(variables.values()))
            return read_statements(context, [arns[name] for name in names], secrets_key)

        def models(*, write: bool) -> list[Statement]:
            return models_statements(context, foundation.storage.models.arn, foundation.keys.arn("data"), write=write)

        return {
            "gateway": secrets(gateway.secret_variables(settings, redis)),
            "worker": secrets(worker.secret_variables(settings, redis)),
            "inference": [*secrets(inference.SECRETS), *models(write=False)],
            "model": models(write=True),
            **{part: secrets(transport.secret_variables(settings, redis, part)) for part in self._transports},
        }

    def _assistant(self, authorities: str | None) -> AssistantArgs:
        context, settings, foundation = self._context, self._context.settings, self.foundation
        return AssistantArgs(
            settings=settings,
            gateway_image=foundation.registry.images["gateway"],
            inference_image=foundation.registry.images[inference_image(settings)],
            transport_image=foundation.registry.images.get("transport"),
            secrets=DeliveredSecrets(
                ids=foundation.secrets.arns, region=context.region, versions=settings.secret_versions.model_dump()
            ),
            redis=self.queue.connection,
            models=BucketStore(url=self.models_url, region=context.region, size=settings.storage.model_size),
            certificate=None,
            self_signed=True,
            authorities=authorities,
            access=self._access,
            public_url=processes.public_url_of(settings, f"https://{settings.edge.domain}"),
            environment={
                "EMF_NAMESPACE": emf_namespace(context.stack),
                "AWS_REGION": context.region,
                **emulated.environment(settings.aws.endpoint_url),
            },
            surroundings=Surroundings(way_in=vpc_peers(settings), edges=aws_edges((*WITH_CREDENTIALS, *self._transports))),
            target_groups=TargetGroups(arns=self.edge.target_group_arns),
            before_inference=self.kubernetes.gpu_gate,
        )

    def _dimensions(self) -> dict[str, pulumi.Input[str]]:
        return {
            "load_balancer": self.edge.load_balancer_suffix,
            **{f"target_group_{name}": suffix for name, suffix in self.edge.target_group_suffixes.items()},
            "certificate": self.edge.certificate_arn,
            "web_acl": self.edge.web_acl_name,
            "eks_cluster": self.kubernetes.cluster.cluster_name,
            **({"memorydb_cluster": self.queue.store.cluster_name} if self.queue.store else {}),
        }

    def outputs(self) -> Outputs:
        settings, secrets = self._context.settings, self.foundation.secrets.references
        connected = settings.platforms.generic.url is not None
        webhook_urls = {
            **({"generic": pulumi.Output.concat(self.edge.url, "/events")} if connected else {}),
            **processes.webhook_urls(settings, self.edge.url),
        }
        return Outputs(
            target="eks",
            url=self.edge.url,
            webhook_urls=webhook_urls or None,
            redirect_uris=processes.redirect_uris(settings, self.edge.url),
            egress_addresses=self.foundation.network.egress_addresses or None,
            inference_url=self.assistant.inference_url,
            api_key=secrets["api_key"],
            webhook_secrets={"generic": secrets["generic_webhook_secret"]} if connected else None,
            model_name=self.model.model_name,
            model_digest=self.model.model_digest,
            alarms=self.alarms.names,
            estimated_monthly_cost=costs.estimate(settings, self._context.stack).total,
        )


def inference_image(settings: Settings) -> str:
    """The target of app/Dockerfile that answers; it converts as well."""
    return "inference-gpu" if settings.inference.device == "cuda" else "inference-cpu"


def images(settings: Settings) -> tuple[str, ...]:
    """The targets of app/Dockerfile that the stack runs; where GPUs stand from the start, the gate proves one with theirs."""
    gate = ("inference-gpu",) if which_pools(settings) and settings.inference.device != "cuda" else ()
    transport = ("transport",) if processes.transports(settings) else ()
    return ("gateway", *transport, inference_image(settings), *gate)


def deploy(settings: Settings) -> Outputs:
    """Raises :class:`infra.errors.DeploymentError` where a file is missing or a version is not supported."""
    stack, bundle = pulumi.get_stack(), settings.cluster.certificate_authorities
    aws = provider(stack, settings)
    return EksAssistant(
        "assistant",
        context(stack, settings, pulumi.InvokeOptions(provider=aws)),
        read_bundle(bundle) if bundle else None,
        pulumi.ResourceOptions(providers=[aws]),
        access=checked(settings),
    ).outputs()
