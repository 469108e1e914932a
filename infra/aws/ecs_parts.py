"""What each part of the assistant is on Fargate: its command, environment, secrets, check and the time it takes to end.

The same as in :mod:`infra.kubernetes`, but for what the place asks: the gateway makes its certificate itself, metrics go to
standard output, and inference fetches the model before it serves.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

import pulumi

from infra import processes
from infra.access import AccessFiles
from infra.aws import emulated
from infra.aws.ecs_container import Check, Container, Mount
from infra.aws.naming import emf_namespace
from infra.durations import DRAIN_SECONDS, EXIT_SECONDS, INFERENCE_TIMEOUT_SECONDS
from infra.errors import DeploymentError
from infra.kubernetes.names import (
    GATEWAY_PORT,
    INFERENCE_PORT,
    INFERENCE_SERVICE,
    MODELS_DIRECTORY,
    TRANSPORT_PORT,
    WORKER_PORT,
)
from infra.kubernetes.redis_connection import RedisConnection
from infra.processes import TransportPart
from infra.recipe import converter_options, recipe
from infra.settings import Settings

Part = Literal["gateway", "worker", "inference", "model", "slack-transport", "feishu-transport"]
# Those that every stack has and that are scaled.
SERVICES: tuple[Part, ...] = ("gateway", "worker", "inference")

UNITS_OF_A_CPU = 1024
MODELS = Mount(volume="models", path=MODELS_DIRECTORY)
# ECS takes a task out of the load balancer before it says so to the task; the notice is for what is still on its way.
GATEWAY_NOTICE_SECONDS = 5
# Inference is found by DNS: until every caller has forgotten the address, new questions are still answered.
DNS_SECONDS = 10
INFERENCE_NOTICE_SECONDS = DNS_SECONDS + 5
LIVE, READY = "/healthz", "/readyz"
MODEL_STOP_SECONDS = 30
# Of memory for what the converter's libraries and pip leave in /tmp; the model itself is made on the ephemeral disk.
MODEL_TEMPORARY = 1024
PULL_SECONDS = 540  # within what the check leaves to a start
NO_FILES = AccessFiles()
FILES_DIRECTORY = "/tmp/access"  # noqa: S108 - the container's own memory
LARGEST_FILES = 32 * 1024  # of the 64 KiB that a task definition may have
WRITE_FILES = (
    "import json,os,pathlib,sys\n"
    f"for name,text in json.loads(os.environ.pop('ACCESS_FILES')).items():\n"
    f" file=pathlib.Path('{FILES_DIRECTORY}',name)\n"
    " file.parent.mkdir(parents=True,exist_ok=True)\n"
    " file.write_text(text,encoding='utf-8')\n"
    "os.execvp(sys.argv[1],sys.argv[1:])"
)


def gateway(
    settings: Settings, stack: str, redis: RedisConnection, inference_url: pulumi.Input[str], access: AccessFiles = NO_FILES
) -> Container:
    notice = GATEWAY_NOTICE_SECONDS
    connected = settings.platforms.generic.url is not None
    told = processes.gateway(settings, processes.public_url_of(settings, f"https://{settings.edge.domain}"))
    return Container(
        name="gateway",
        command=with_files(access, ["python", "-m", "app.gateway"]),
        environment={
            **_base(settings, stack, GATEWAY_PORT, notice),
            **_neighbours(redis, inference_url),
            "TLS_SELF_SIGNED": "true",
            **told.environment,
            **files_environment(access),
        },
        secrets={
            "API_KEY": "api_key",
            "INFERENCE_API_KEY": "inference_api_key",
            **redis.secrets(),
            **({"GENERIC_WEBHOOK_SECRET": "generic_webhook_secret"} if connected else {}),
            **told.secrets,
        },
        port=GATEWAY_PORT,
        # Liveness: the load balancer asks for readiness, and a Redis that is away is mended by no restart.
        check=Check(port=GATEWAY_PORT, path=LIVE, tls=True),
        stop_seconds=_stop(notice),
    )


def worker(
    settings: Settings, stack: str, redis: RedisConnection, inference_url: pulumi.Input[str], access: AccessFiles = NO_FILES
) -> Container:
    work, generic, told = settings.worker, settings.platforms.generic, processes.worker(settings)
    connected = generic.url is not None
    return Container(
        name="worker",
        command=with_files(access, ["python", "-m", "app.pipeline"]),
        environment={
            **_base(settings, stack, WORKER_PORT),
            **_neighbours(redis, inference_url),
            "WORKER_CONCURRENCY": str(work.concurrency),
            "LEASE_SECONDS": f"{work.lease_seconds:g}",
            "MAX_ATTEMPTS": str(work.max_attempts),
            **({"GENERIC_URL": generic.url, "GENERIC_CLIENT_ID": generic.client_id} if generic.url else {}),
            **told.environment,
            **files_environment(access),
        },
        secrets={
            "INFERENCE_API_KEY": "inference_api_key",
            **redis.secrets(),
            **({"GENERIC_CLIENT_SECRET": "generic_client_secret"} if connected else {}),
            **({"GENERIC_WEBHOOK_SECRET": "generic_webhook_secret"} if connected else {}),
            **told.secrets,
        },
        check=Check(port=WORKER_PORT, path=LIVE),
        stop_seconds=_stop(0),
    )


def transport(settings: Settings, stack: str, redis: RedisConnection, part: TransportPart) -> Container:
    """Events by a connection that goes out; of it there is one task."""
    told = processes.transport(settings, part)
    return Container(
        name=part,
        command=["python", "-m", processes.ENTRIES[part]],
        environment={**_base(settings, stack, TRANSPORT_PORT), **redis.environment(), **told.environment},
        secrets={**redis.secrets(), **told.secrets},
        check=Check(port=TRANSPORT_PORT, path=LIVE),
        stop_seconds=_stop(0),
    )


def inference(settings: Settings, stack: str, models_url: pulumi.Input[str]) -> Container:
    key = recipe(settings).key
    serving = settings.inference
    # One container and not an init container before it: of that, Fargate bounds the time to 120 seconds (startTimeout), which a
    # model of some gigabytes does not keep; a start has STARTS_WITHIN_SECONDS.
    program = (
        f'python -m app.models.pull "$MODELS_URL" {key} --into {MODELS_DIRECTORY} --seconds {PULL_SECONDS}'
        " && exec python -m app.inference"
    )
    return Container(
        name="inference",
        command=["sh", "-c", program],
        environment={
            **_base(settings, stack, INFERENCE_PORT, INFERENCE_NOTICE_SECONDS),
            "MODELS_URL": models_url,
            "MODEL_PATH": f"{MODELS_DIRECTORY}/.recipes/{key}",
            "INFERENCE_DEVICE": serving.device,
            "INFERENCE_SLOTS": str(serving.slots),
            "INFERENCE_CONTEXT": str(serving.context_length),
            "INFERENCE_THREADS": str(threads(settings)),
        },
        secrets={"API_KEY": "inference_api_key"},
        port=INFERENCE_PORT,
        # Readiness: until the model is loaded nobody may be sent here, and the name in DNS follows this check.
        check=Check(port=INFERENCE_PORT, path=READY, retries=10),
        mounts=[MODELS],
        stop_seconds=_stop(INFERENCE_NOTICE_SECONDS),
    )


def model(settings: Settings, models_url: pulumi.Input[str]) -> Container:
    """Converts, measures and publishes, and ends. Its secrets: none."""
    options = converter_options(recipe(settings))
    program = f'exec python -m app.models --store {MODELS_DIRECTORY} --publish "$MODELS_URL" "$@"'
    return Container(
        name="model",
        command=["sh", "-c", program, "model", *options],
        environment={"LOG_LEVEL": settings.log_level, "MODELS_URL": models_url, "PIP_NO_CACHE_DIR": "1"},
        mounts=[MODELS],
        temporary=MODEL_TEMPORARY,
        stop_seconds=MODEL_STOP_SECONDS,
    )


def threads(settings: Settings) -> int:
    return settings.inference.threads or max(1, settings.fargate.inference.cpu // UNITS_OF_A_CPU)


def inference_url(namespace: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.format("http://{0}.{1}:{2}", INFERENCE_SERVICE, namespace, INFERENCE_PORT)


def placed(settings: Settings, container: Container) -> Container:
    """``container`` as the stack runs it. Raising the version of a secret that it reads makes another task definition, and so a
    rollout; in front of an emulator it asks that, with credentials that open nothing."""
    versions = settings.secret_versions.model_dump()
    read = {name: versions[name] for name in sorted(set(container.secrets.values()))}
    more: dict[str, str] = {"SECRET_VERSIONS": json.dumps(read)} if read else {}
    emulator = emulated.environment(settings.aws.endpoint_url)
    return replace(container, environment={**container.environment, **more, **emulator})


def files_environment(access: AccessFiles) -> dict[str, str]:
    """Tenants and roles travel in the task's definition, since a task sees no file of ours: another state of them is a rollout.
    Raises :class:`DeploymentError` where they are too large for it."""
    texts = json.dumps(dict(access.carried()), ensure_ascii=False, sort_keys=True) if access.environment() else ""
    if (size := len(texts.encode())) > LARGEST_FILES:
        raise DeploymentError(
            f"assistant:access has {size} bytes with the tenants' task libraries; {LARGEST_FILES} fit into the definition of a "
            "Fargate task. Nothing was changed. Make the files smaller, or take the target eks."
        )
    return {"ACCESS_FILES": texts, **access.environment_in(FILES_DIRECTORY)} if texts else {}


def with_files(access: AccessFiles, command: list[str]) -> list[str]:
    """``command``, once the files are written."""
    return ["python", "-I", "-S", "-c", WRITE_FILES, *command] if access.environment() else command


def _stop(notice: int) -> int:
    return notice + DRAIN_SECONDS + EXIT_SECONDS


def _base(settings: Settings, stack: str, port: int, notice: int = 0) -> dict[str, str]:
    return {
        "HOST": "0.0.0.0",  # noqa: S104 - the task's own network; security groups say who reaches it
        "PORT": str(port),
        "LOG_LEVEL": settings.log_level,
        "NOTICE_SECONDS": str(notice),
        "DRAIN_SECONDS": str(DRAIN_SECONDS),
        "EMF_NAMESPACE": emf_namespace(stack),
    }


def _neighbours(redis: RedisConnection, inference_url: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    return {
        **redis.environment(),
        "INFERENCE_URL": inference_url,
        "INFERENCE_TIMEOUT_SECONDS": str(INFERENCE_TIMEOUT_SECONDS),
    }
