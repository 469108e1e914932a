"""Deploys a stack once, with the real engine, and hands it to the tests: `local`, or with ASSISTANT_TARGET=cluster a cluster's.
With ASSISTANT_TARGET=eks the tests look at the stack of a rehearsal, which stands already.

The stack's name, backend, passphrase and place are the run's own, so a running stack is never touched.
"""

from __future__ import annotations

import functools
import os
import shutil
import ssl
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import testinfra
from deployment import CHECKOUT, Deployment
from generic.emulator import Emulator
from generic.sender import send_event

from tools.pulumi.environment import engine_environment
from tools.stack.assistant import Assistant

if TYPE_CHECKING:
    from connected_deployment import ConnectedDeployment
    from feishu.emulator import Emulator as Feishu
    from slack_workspace.emulator import Emulator as Slack

TARGET = os.environ.get("ASSISTANT_TARGET", "local")
collect_ignore_glob = [f"test_{other}_*.py" for other in ("local", "cluster") if other != TARGET]


@pytest.fixture(scope="session")
def engine_installed() -> None:
    if shutil.which("pulumi", path=engine_environment(CHECKOUT, environment=os.environ)["PATH"]) is None:
        pytest.skip("the Pulumi CLI is not installed: make test sets it up")


@pytest.fixture(scope="session")
def deployed(engine_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The stack, brought up once for the whole run; at its end nothing of it is left."""
    if TARGET == "eks":
        from eks_deployment import attached

        yield attached()
        return
    deployment = _make(tmp_path_factory.mktemp("stack"))
    try:
        run = deployment.up(policies=True)
        assert run.code == 0, run.screen
        yield deployment
        run = deployment.destroy()
        assert run.code == 0, run.screen
        assert deployment.leftovers() == []
    finally:
        deployment.remove()


def _make(folder: Path) -> Deployment:
    if TARGET == "cluster":
        from cluster_deployment import make_cluster

        return make_cluster(folder)
    from connected_deployment import make_connected

    return make_connected(folder, "local")


@pytest.fixture(scope="session")
def connected(deployed: ConnectedDeployment) -> ConnectedDeployment:
    """The local stack, once its platforms know where it is."""
    deployed.introduce()
    return deployed


@pytest.fixture
def slack(connected: ConnectedDeployment) -> Iterator[Slack]:
    yield connected.slack
    connected.slack.heal()


@pytest.fixture
def feishu(connected: ConnectedDeployment) -> Iterator[Feishu]:
    yield connected.feishu
    connected.feishu.heal()


@pytest.fixture
def platform(deployed: Deployment) -> Iterator[Emulator]:
    """The platform that the stack is configured for, listening; a fresh record for each test."""
    with Emulator(
        client_secret=deployed.secret("generic_client_secret"),
        webhook_secret=deployed.secret("generic_webhook_secret"),
        host=deployed.platform_host,
        port=deployed.platform_port,
    ) as emulator:
        yield emulator


@pytest.fixture
def send(deployed: Deployment, outputs: dict[str, Any]) -> Callable[..., httpx2.Response]:
    """Send the stack a signed event, as the platform does, in a conversation of this test's own."""
    context = ssl.create_default_context(cadata=outputs["caCertificate"])
    secret, conversation = deployed.secret("generic_webhook_secret"), f"conversation-{uuid.uuid4().hex}"
    return functools.partial(send_event, outputs["url"], secret, conversation=conversation, verify=context)


@pytest.fixture
def outputs(deployed: Deployment) -> dict[str, Any]:
    return deployed.outputs()


@pytest.fixture
def assistant(outputs: dict[str, Any]) -> Assistant:
    return Assistant.from_outputs(outputs)


@pytest.fixture(scope="session")
def host() -> testinfra.host.Host:
    """The machine that a local stack runs on. The cluster's tests look into its pods instead."""
    return testinfra.get_host("local://")
