"""Inference: the bundled model server, on the CPU or on GPUs, behind the Service that the world knows as ``ai-service``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import Service, ServicePortArgs, ServiceSpecArgs

from infra.kubernetes.application import (
    PRE_STOP_SECONDS,
    base_environment,
    deployment,
    grace_seconds,
    one_less,
    one_more,
)
from infra.kubernetes.container import Container, Disk
from infra.kubernetes.model_store import ModelStore, path_of
from infra.kubernetes.names import INFERENCE_PORT, INFERENCE_SERVICE, METRICS_PORT, selector
from infra.kubernetes.pod import Pod
from infra.kubernetes.probes import READY, http_probes
from infra.kubernetes.quantities import cores
from infra.kubernetes.secret_source import SecretSource
from infra.kubernetes.workload import UNAWAITED, WorkloadArgs, disruption_budget, metadata, metrics_service_of, service_account
from infra.settings import Settings

START_SECONDS = 300  # loading several gigabytes from a network volume
READY_WITHIN = 1800  # an image with CUDA's libraries has gigabytes to be pulled
SECRETS = {"API_KEY": "inference_api_key"}  # by environment variable


@dataclass(frozen=True, kw_only=True)
class InferenceArgs(WorkloadArgs):
    """``recipe_key``: of the model in ``models``; another model is another key, and so another rollout."""

    secrets: SecretSource
    models: ModelStore
    recipe_key: str


class Inference(pulumi.ComponentResource):
    """``url``: as every pod of the namespace reaches it."""

    url: pulumi.Output[str]

    def __init__(self, name: str, args: InferenceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Inference", name, {}, opts)
        settings, namespace, models = args.settings, args.namespace, args.models
        child = pulumi.ResourceOptions(parent=self)
        account = service_account("inference", namespace, child)
        secrets = args.secrets.provide("inference", SECRETS, args, child)
        # Pods on one volume leave a node together: none could start elsewhere while another stays.
        disruption_budget("inference", namespace, child, max_unavailable="100%" if models.on_one_node else 1)

        on_gpus = settings.inference.device == "cuda"
        container = Container(
            name="inference",
            image=args.image,
            command=["python", "-m", "app.inference"],
            compute=settings.resources.inference,
            environment={
                **base_environment(settings, INFERENCE_PORT),
                **secrets.environment,
                **_serving(settings, path_of(args.recipe_key)),
                **args.environment,
            },
            mounts=[secrets.mount, models.mount()],
            ports={"http": INFERENCE_PORT, "metrics": METRICS_PORT},
            probes=http_probes("http", starts_within=START_SECONDS, started=READY),
            pre_stop_seconds=PRE_STOP_SECONDS,
            disk=models.disk(Disk()),
            gpus=settings.resources.gpus if on_gpus else 0,
        )
        pod = Pod(
            part="inference",
            settings=settings,
            container=container,
            init=[*secrets.init, models.arrival(args.recipe_key, args)],
            grace_seconds=grace_seconds(pre_stop=PRE_STOP_SECONDS, notice=0),
            reads=secrets.reads,
            models=models,
        )
        self.deployment = deployment(
            "inference",
            namespace=namespace,
            pod=pod,
            # A cluster seldom has a GPU to spare: a new pod would wait for one until the rollout fails. With the old one gone
            # first, one replica means a gap of a start; autoscaling.inference.minimum 2 closes it.
            update=one_less() if on_gpus else one_more(),
            ready_within=READY_WITHIN,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, *secrets.made]),
        )
        self.service = Service(
            "inference-service",
            # Its Deployment is waited for, longer than the plugin would wait for an endpoint.
            metadata=metadata("inference", namespace, INFERENCE_SERVICE, UNAWAITED),
            spec=ServiceSpecArgs(
                type="ClusterIP",
                selector=selector("inference"),
                ports=[ServicePortArgs(name="http", port=INFERENCE_PORT, target_port="http")],
            ),
            opts=child,
        )
        metrics_service_of("inference", namespace, child)
        self.url = pulumi.Output.format("http://{0}.{1}:{2}", INFERENCE_SERVICE, namespace, INFERENCE_PORT)
        self.register_outputs({"url": self.url})


def threads(settings: Settings) -> int:
    """Not one a core of the node, which the process would count: what the pod may use."""
    return settings.inference.threads or max(1, math.ceil(cores(settings.resources.inference.cpu_limit)))


def _serving(settings: Settings, model_path: str) -> dict[str, str]:
    inference = settings.inference
    return {
        "MODEL_PATH": model_path,
        "INFERENCE_DEVICE": inference.device,
        "INFERENCE_SLOTS": str(inference.slots),
        "INFERENCE_CONTEXT": str(inference.context_length),
        "INFERENCE_THREADS": str(threads(settings)),
    }
