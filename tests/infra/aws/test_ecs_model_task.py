"""The task that makes a model: run where the bucket has none, told how far it is and why it failed, never left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ecs_stand_in import TASK, EcsStandIn, ecs_stand_in, pointer, state

from infra.aws import ecs_one_off
from infra.aws.ecs_model_task import ModelTaskProvider
from infra.aws.ecs_one_off import failure
from infra.errors import DeploymentError

KEY = "c" * 64
POINTER = f"/models-bucket/recipes/{KEY}.json"
INPUTS: dict[str, Any] = {
    "region": "eu-central-1",
    "profile": None,
    "url": "s3://models-bucket",
    "recipeKey": KEY,
    "maxKl": 0.01,
    "minTop1": 0.97,
    "cluster": "arn:aws:ecs:eu-central-1:123456789012:cluster/assistant-test",
    "taskDefinition": "assistant-test-model:1",
    "subnets": ["subnet-1", "subnet-2"],
    "securityGroups": ["sg-1"],
    "logGroup": "/assistant/test/model",
}
provider = ModelTaskProvider()


@pytest.fixture
def aws_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[EcsStandIn]:
    with ecs_stand_in() as stand_in:
        monkeypatch.setenv("AWS_ENDPOINT_URL", stand_in.url)
        for name, value in credentials().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(ecs_one_off, "POLL_SECONDS", 0.01)
        yield stand_in


def credentials() -> dict[str, str]:
    nowhere = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    return {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "NO_PROXY": "127.0.0.1", **nowhere}


def test_a_model_that_lies_in_the_bucket_costs_no_task(aws_api: EcsStandIn) -> None:
    aws_api.objects[POINTER] = pointer()
    outs = provider.create(dict(INPUTS)).outs or {}
    assert (outs["modelName"], outs["modelDigest"]) == ("a-model", "d" * 64)
    assert aws_api.names() == []


def test_a_task_makes_what_is_missing_in_private_subnets_and_its_progress_is_shown(
    aws_api: EcsStandIn, capfd: pytest.CaptureFixture[str]
) -> None:
    aws_api.states = [
        state("PROVISIONING"),
        state("PENDING"),
        state("RUNNING"),
        state("RUNNING"),
        state("STOPPED", exit_code=0),
    ]
    aws_api.lines = ["[ 40%] quantise to INT8", "a library's warning"]
    aws_api.ends = lambda: aws_api.objects.update({POINTER: pointer()})
    outs = provider.create(dict(INPUTS)).outs or {}
    assert outs["modelDigest"] == "d" * 64
    started = aws_api.one("RunTask")
    assert started["taskDefinition"] == "assistant-test-model:1"
    assert started["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroups": ["sg-1"],
        "assignPublicIp": "DISABLED",
    }
    assert started["enableExecuteCommand"] is False
    assert "StopTask" not in aws_api.names()
    shown = capfd.readouterr().out
    assert "the image is fetched" in shown
    assert "[ 40%] quantise to INT8" in shown
    assert "a library's warning" not in shown


def test_a_task_that_an_earlier_up_left_running_is_waited_for_and_no_second_is_started(aws_api: EcsStandIn) -> None:
    aws_api.running, aws_api.states = [TASK], [state("STOPPED", exit_code=0)]
    aws_api.ends = lambda: aws_api.objects.update({POINTER: pointer()})
    provider.create(dict(INPUTS))
    assert aws_api.one("ListTasks")["startedBy"] == f"model/{KEY}"
    assert "RunTask" not in aws_api.names()


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (state("STOPPED", exit_code=3), "misses its gate"),
        (state("STOPPED", exit_code=1), "exit status 1"),
        (state("STOPPED", exit_code=137, reason="OutOfMemoryError: container killed due to memory usage"), "OutOfMemoryError"),
        (
            state("STOPPED", stopCode="TaskFailedToStart", stoppedReason="CannotPullContainerError: not found"),
            "CannotPullContainerError: not found",
        ),
        (state("STOPPED", stoppedReason="Capacity is unavailable at this time."), "Capacity is unavailable"),
    ],
)
def test_a_task_that_failed_says_why_and_what_it_wrote_last(aws_api: EcsStandIn, ended: dict[str, Any], words: str) -> None:
    aws_api.states, aws_api.lines = [ended], ["[ 90%] measure", "same top token 96 %"]
    with pytest.raises(DeploymentError) as raised:
        provider.create(dict(INPUTS))
    assert words in str(raised.value)
    assert "same top token 96 %" in str(raised.value)
    assert "[ 90%]" not in str(raised.value)


def test_a_task_that_ecs_does_not_start_says_what_is_short(aws_api: EcsStandIn) -> None:
    aws_api.failures = [{"reason": "RESOURCE:ENI", "detail": "no address is left in the subnet"}]
    with pytest.raises(DeploymentError, match="RESOURCE:ENI no address is left"):
        provider.create(dict(INPUTS))


def test_a_task_that_takes_too_long_is_stopped(aws_api: EcsStandIn) -> None:
    aws_api.states = [state("RUNNING")]
    with pytest.raises(DeploymentError, match="has not ended within"):
        provider.create({**INPUTS, "seconds": 0.05})
    assert aws_api.one("StopTask")["task"] == TASK


def test_a_wait_that_is_interrupted_stops_the_task(aws_api: EcsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    aws_api.states = [state("RUNNING")]

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ecs_one_off.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        provider.create(dict(INPUTS))
    assert aws_api.one("StopTask")["task"] == TASK


def test_a_provider_that_is_killed_leaves_no_task_running(aws_api: EcsStandIn) -> None:
    aws_api.states = [state("RUNNING")]
    program = f"from infra.aws.ecs_model_task import make; import json; make(json.loads({json.dumps(json.dumps(INPUTS))}))"
    environment = {**os.environ, **credentials(), "AWS_ENDPOINT_URL": aws_api.url}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.DEVNULL)
    wait_for(lambda: "DescribeTasks" in aws_api.names())
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: "StopTask" in aws_api.names())
    assert aws_api.one("StopTask")["reason"] == "pulumi up was interrupted"


def wait_for(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_success_without_a_model_in_the_bucket_is_an_error(aws_api: EcsStandIn) -> None:
    aws_api.states = [state("STOPPED", exit_code=0)]
    with pytest.raises(DeploymentError, match="has no recipe"):
        provider.create(dict(INPUTS))


def test_a_model_made_under_looser_bounds_is_measured_by_these(aws_api: EcsStandIn) -> None:
    aws_api.objects[POINTER] = pointer(kl=0.2)
    with pytest.raises(DeploymentError, match="strays too far"):
        provider.create(dict(INPUTS))


def test_another_image_alone_converts_nothing_again(aws_api: EcsStandIn) -> None:
    aws_api.objects[POINTER] = pointer()
    olds = provider.create(dict(INPUTS)).outs or {}
    news = {**INPUTS, "taskDefinition": "assistant-test-model:2"}
    assert provider.diff("x", olds, INPUTS).changes is False
    assert provider.diff("x", olds, news).changes is True
    assert not provider.diff("x", olds, news).replaces
    assert (provider.update("x", olds, news).outs or {})["taskDefinition"] == "assistant-test-model:2"
    assert aws_api.names() == []


def test_refresh_sees_a_model_that_is_gone_and_the_next_up_makes_it(aws_api: EcsStandIn) -> None:
    aws_api.objects[POINTER] = pointer()
    olds = provider.create(dict(INPUTS)).outs or {}
    aws_api.objects.clear()
    read = provider.read("x", olds).outs or {}
    assert read["modelDigest"] is None
    assert provider.diff("x", read, INPUTS).changes is True


def test_aws_out_of_reach_is_told_without_a_traceback(aws_api: EcsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(DeploymentError, match="could not be made"):
        provider.create(dict(INPUTS))


def test_an_ended_task_without_an_exit_status_is_told_by_its_stop_code() -> None:
    assert failure({"stopCode": "UserInitiated", "containers": []}, "model", {}) == "UserInitiated"
    assert failure(state("STOPPED", exit_code=0), "model", {}) is None


def test_moto_takes_what_is_asked_of_ecs(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The requests against an implementation of the API that is not ours; its task runs for ever, so the wait ends in time."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ecs_one_off, "POLL_SECONDS", 0.01)
    aws.client("s3").create_bucket(Bucket="models-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    ecs, ec2 = aws.client("ecs"), aws.client("ec2")
    cluster = ecs.create_cluster(clusterName="assistant-test", capacityProviders=["FARGATE"])["cluster"]["clusterArn"]
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})  # moto's tasks want a name
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="model", Description="d", VpcId=vpc)["GroupId"]
    definition = ecs.register_task_definition(
        family="model",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "model", "image": "image", "cpu": 256, "memory": 512}],  # moto adds them up
    )["taskDefinition"]["taskDefinitionArn"]
    props = {
        **INPUTS,
        "cluster": cluster,
        "taskDefinition": definition,
        "subnets": [subnet],
        "securityGroups": [group],
        "seconds": 0.05,
    }
    with pytest.raises(DeploymentError) as raised:
        provider.create(props)
    # However long moto says that it runs: it was started, asked for, and is not left.
    assert "The task model" in str(raised.value)
    assert ecs.list_tasks(cluster=cluster, desiredStatus="RUNNING")["taskArns"] == []
