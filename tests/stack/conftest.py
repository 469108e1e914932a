"""Deploys the ``local`` stack once, with the real engine, and hands it to the tests.

Stack name, ports, backend, passphrase and state directory are the run's own, so a running stack is never touched.
"""

from __future__ import annotations

import functools
import os
import shutil
import ssl
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
import testinfra
from deployment import CHECKOUT, Deployment, make_deployment
from generic.emulator import Emulator
from generic.sender import send_event

from tools.pulumi.environment import engine_environment
from tools.stack.assistant import Assistant


@pytest.fixture(scope="session")
def engine_installed() -> None:
    if shutil.which("pulumi", path=engine_environment(CHECKOUT, environment=os.environ)["PATH"]) is None:
        pytest.skip("the Pulumi CLI is not installed: make test sets it up")


@pytest.fixture(scope="session")
def deployed(engine_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The stack, brought up once for the whole run. Its removal is checked by test_local_removal.py on one of its own."""
    deployment = make_deployment(tmp_path_factory.mktemp("stack"), "local")
    try:
        run = deployment.up(policies=True)
        assert run.code == 0, run.screen
        yield deployment
        run = deployment.destroy()
        assert run.code == 0, run.screen
        assert deployment.processes() == []
    finally:
        deployment.remove()


@pytest.fixture
def platform(deployed: Deployment) -> Iterator[Emulator]:
    """The platform that the stack is configured for, listening; a fresh record for each test."""
    with Emulator(
        client_secret=deployed.secret("generic_client_secret"),
        webhook_secret=deployed.secret("generic_webhook_secret"),
        port=deployed.ports["platform"],
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
    return testinfra.get_host("local://")
