"""The parts on Fargate beside the same parts on Kubernetes: what differs is what the place asks, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_rendering import aws_settings

from app.aws.deliver import _options as deliver_options
from app.models.__main__ import _options as models_options
from app.settings import GatewaySettings, InferenceSettings, WorkerSettings
from infra.aws import ecs_parts
from infra.aws.ecs_container import Container
from infra.durations import DRAIN_SECONDS, EXIT_SECONDS
from infra.kubernetes import gateway as kubernetes_gateway
from infra.kubernetes import worker as kubernetes_worker
from infra.kubernetes.names import USER_ID
from infra.kubernetes.redis_connection import RedisConnection

REDIS = RedisConnection(url="rediss://redis.example.com:6379/0", cluster=True, username="assistant")
CONNECTED: Mapping[str, Any] = {"platforms": {"generic": {"url": "https://platform.example.com"}}}


def parts(**groups: Any) -> dict[str, Container]:
    settings = aws_settings("serverless", **groups)
    return {
        "gateway": ecs_parts.gateway(settings, "serverless", REDIS, "http://ai-service.x:8080"),
        "worker": ecs_parts.worker(settings, "serverless", REDIS, "http://ai-service.x:8080"),
        "inference": ecs_parts.inference(settings, "serverless", "s3://models"),
        "model": ecs_parts.model(settings, "s3://models"),
    }


@pytest.mark.parametrize("groups", [{}, CONNECTED])
def test_each_part_reads_the_secrets_that_it_reads_on_kubernetes(groups: Mapping[str, Any]) -> None:
    settings, made = aws_settings("serverless", **groups), parts(**groups)
    assert dict(made["gateway"].secrets) == kubernetes_gateway.secret_variables(settings, REDIS)
    assert dict(made["worker"].secrets) == kubernetes_worker.secret_variables(settings, REDIS)
    assert dict(made["inference"].secrets) == {"API_KEY": "inference_api_key"}
    assert dict(made["model"].secrets) == {}


@pytest.mark.parametrize(
    ("part", "model"), [("gateway", GatewaySettings), ("worker", WorkerSettings), ("inference", InferenceSettings)]
)
def test_every_variable_is_one_that_the_process_reads(part: str, model: Any) -> None:
    container = parts(**CONNECTED)[part]
    known = {field.upper() for field in model.model_fields}
    assert set(container.environment) - {"MODELS_URL"} <= known
    assert set(container.secrets) <= known


@pytest.mark.parametrize("part", ["gateway", "worker", "inference"])
def test_what_was_begun_is_finished_before_the_task_is_killed(part: str) -> None:
    container = parts()[part]
    notice = int(str(container.environment["NOTICE_SECONDS"]))
    assert container.stop_seconds == notice + DRAIN_SECONDS + EXIT_SECONDS
    assert container.stop_seconds <= 120


def test_inference_answers_until_its_address_is_forgotten() -> None:
    assert int(str(parts()["inference"].environment["NOTICE_SECONDS"])) > ecs_parts.DNS_SECONDS


def test_the_gateway_makes_its_certificate_itself_and_no_part_is_given_a_key() -> None:
    made = parts()
    assert made["gateway"].environment["TLS_SELF_SIGNED"] == "true"
    assert not [name for container in made.values() for name in container.environment if "PRIVATE_KEY" in name]


def test_metrics_go_where_the_alarms_look_for_them() -> None:
    made = parts()
    assert {str(made[part].environment["EMF_NAMESPACE"]) for part in ecs_parts.SERVICES} == {"Assistant/serverless"}


def test_gateway_and_worker_are_kept_while_they_live_and_inference_once_it_is_ready() -> None:
    made = parts()
    assert [(made[part].check.path, made[part].check.port) for part in ecs_parts.SERVICES if made[part].check] == [
        ("/healthz", 8443),
        ("/healthz", 8081),
        ("/readyz", 8080),
    ]


def test_the_model_is_served_that_the_recipe_names() -> None:
    first, other = parts()["inference"], parts(model={"precision": "fp32"})["inference"]
    assert first.environment["MODEL_PATH"] != other.environment["MODEL_PATH"]
    key = str(first.environment["MODEL_PATH"]).rsplit("/", 1)[-1]
    assert key in first.command[-1]
    assert first.command[-1].endswith("exec python -m app.inference")


def test_the_converter_knows_its_command_line() -> None:
    command = parts(model={"precision": "fp32"})["model"].command
    assert command[:2] == ["sh", "-c"]
    inner = command[2].removeprefix("exec python -m app.models ").replace('"$MODELS_URL"', "s3://models")
    options = models_options([*inner.removesuffix(' "$@"').split(), *command[4:]])
    assert (options.precision, options.publish) == ("fp32", "s3://models")


def test_the_deliverer_knows_its_command_line() -> None:
    whole = parts()["gateway"].whole_command()
    assert deliver_options(whole[3:]).command == ["python", "-m", "app.gateway"]


@pytest.mark.parametrize(("part", "rolls"), [("gateway", True), ("worker", False), ("inference", False)])
def test_a_raised_secret_rolls_the_parts_that_read_it(part: str, rolls: bool) -> None:
    before, after = aws_settings("serverless"), aws_settings("serverless", secretVersions={"apiKey": 2})
    container = parts()[part]
    one, other = (ecs_parts.placed(settings, container).environment for settings in (before, after))
    assert (one != other) is rolls


def test_tasks_ask_an_emulator_where_there_is_one_and_carry_no_credentials_otherwise() -> None:
    container = parts()["model"]
    emulated = aws_settings("serverless", aws={"endpointUrl": "http://localhost:5000"})
    assert ecs_parts.placed(emulated, container).environment["AWS_ENDPOINT_URL"] == "http://localhost:5000"
    assert not [name for name in ecs_parts.placed(aws_settings("serverless"), container).environment if name.startswith("AWS_")]


def test_inference_takes_a_thread_for_each_cpu_of_its_task() -> None:
    task = {"cpu": 4096, "memory": 8192, "minimum": 1, "maximum": 2}
    assert parts(fargate={"inference": task})["inference"].environment["INFERENCE_THREADS"] == "4"
    assert parts(inference={"threads": 3})["inference"].environment["INFERENCE_THREADS"] == "3"


def test_the_image_gives_the_model_s_volume_to_its_user() -> None:
    """Fargate mounts an empty volume for root alone, unless the image names the same path as a VOLUME of another owner's."""
    text = (Path(__file__).resolve().parents[3] / "app/Dockerfile").read_text(encoding="utf-8")
    stage = text.split("AS inference-cpu\n")[1].split("\nFROM ")[0]
    assert stage.index(f"install -d -o {USER_ID} -g {USER_ID} {ecs_parts.MODELS.path}") < stage.index(
        f'VOLUME ["{ecs_parts.MODELS.path}"]'
    )
