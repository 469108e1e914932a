"""The model: a Job fetches, converts, quantises and measures it into the store, from which every inference pod reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.batch.v1 import (
    Job,
    JobSpecArgs,
    PodFailurePolicyArgs,
    PodFailurePolicyOnExitCodesRequirementArgs,
    PodFailurePolicyRuleArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.kubernetes.configuration import digest_of
from infra.kubernetes.container import Container, Disk
from infra.kubernetes.files import authorities_mount
from infra.kubernetes.model_store import ModelStore
from infra.kubernetes.names import MODELS_DIRECTORY, labels
from infra.kubernetes.pod import Pod
from infra.kubernetes.trust import OPENSSL_VARIABLE, PIP_VARIABLE, trusting
from infra.kubernetes.workload import WorkloadArgs, service_account
from infra.recipe import converter_options, recipe
from infra.settings import Settings

JOB_SECONDS = 3600
GRACE_SECONDS = 30
ATTEMPTS = 4  # a network may fail and a node may go
# Of app.models: wrong usage, and a gate missed. Neither is better the next time.
FINAL_EXIT_CODES = (2, 3)
# For Pulumi's plugin: a Job that failed stays so for ever, so the next `up` makes another in its place.
TRIED_AGAIN = {"pulumi.com/replaceUnready": "true"}
TERMINATION_MESSAGE = "/dev/termination-log"  # Kubernetes' default path; model_report.py reads what stands there


@dataclass(frozen=True, kw_only=True)
class ModelArgs(WorkloadArgs):
    """``image``: inference's, which holds the converter. ``authorities``: PEM of what is trusted, if not the image's own.
    ``models``: where the Job leaves what it made."""

    models: ModelStore
    authorities: str | None


class Model(pulumi.ComponentResource):
    """``job_name``: holds a digest of all that makes the Job, so that another recipe or image makes another Job.

    ``recipe_key``: what the store knows the model by.
    """

    job_name: pulumi.Output[str]
    recipe_key: str

    def __init__(self, name: str, args: ModelArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Model", name, {}, opts)
        settings, namespace, models = args.settings, args.namespace, args.models
        self.recipe_key = recipe(settings).key
        self.claim = models.claim(namespace, pulumi.ResourceOptions(parent=self))
        account = service_account("model", namespace, pulumi.ResourceOptions(parent=self))
        container = Container(
            name="model",
            image=args.image,
            command=["python", "-m", "app.models", *options(settings), *models.options],
            compute=settings.resources.model,
            environment={
                # What pip and the converter leave behind goes to the volume's scratch directory or nowhere.
                "PIP_NO_CACHE_DIR": "1",
                **(trusting(OPENSSL_VARIABLE, PIP_VARIABLE) if args.authorities else {}),
                **models.environment,
                **args.environment,
            },
            mounts=[models.mount(writable=True), *([authorities_mount()] if args.authorities else [])],
            disk=models.disk(Disk(request="256Mi", limit="2Gi", temporary="1Gi")),
        )
        pod = Pod(
            part="model",
            settings=settings,
            container=container,
            grace_seconds=GRACE_SECONDS,
            restart="Never",
            models=models,
        )
        facts: dict[str, Any] = {"image": args.image, **models.facts}
        if args.environment:
            facts["environment"] = dict(args.environment)
        self.job_name = pulumi.Output.from_input(facts).apply(lambda known: job_name(settings, known, args.authorities))
        self.job = Job(
            f"{name}-job",
            metadata=ObjectMetaArgs(name=self.job_name, namespace=namespace, labels=labels("model"), annotations=TRIED_AGAIN),
            spec=JobSpecArgs(
                template=pod.template(),
                backoff_limit=ATTEMPTS,
                active_deadline_seconds=JOB_SECONDS,
                pod_failure_policy=_final_failures(),
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[account],
                custom_timeouts=pulumi.CustomTimeouts(create=f"{JOB_SECONDS}s", update=f"{JOB_SECONDS}s"),
            ),
        )
        self.register_outputs({"job": self.job_name})


def options(settings: Settings) -> list[str]:
    """The command line of ``app.models``."""
    return ["--store", MODELS_DIRECTORY, *converter_options(recipe(settings)), "--report", TERMINATION_MESSAGE]


def job_name(settings: Settings, facts: Mapping[str, Any], authorities: str | None) -> str:
    """A Job cannot be changed, so whatever would change it is in its name. ``facts``: what no setting says of it."""
    content = {
        "options": options(settings),
        "resources": settings.resources.model.model_dump(),
        "device": settings.inference.device,
        "pullSecret": settings.images.pull_secret,
        "authorities": authorities,
        **facts,
    }
    return f"model-{digest_of(content)[:12]}"


def _final_failures() -> PodFailurePolicyArgs:
    codes = PodFailurePolicyOnExitCodesRequirementArgs(container_name="model", operator="In", values=list(FINAL_EXIT_CODES))
    return PodFailurePolicyArgs(rules=[PodFailurePolicyRuleArgs(action="FailJob", on_exit_codes=codes)])
