"""AWS' APIs on loopback (moto), an empty account for each test, and an engine of a stack on AWS."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from moto.server import ThreadedMotoServer

from infra.aws.session import client, session
from infra.settings import Settings
from infra.settings_reader import settings_from
from tools.stack.engine import Engine

REGION = "eu-central-1"
ACCOUNT = "123456789012"
CONFIG: dict[str, Any] = {
    "edge": {"domain": "assistant.acme.dev", "zone": "acme.dev"},
    "eks": {"deployerCidrs": ["198.18.7.0/24"]},
}
AMBIENT = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that knows of no account."""
    for name in AMBIENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def account(no_account: None, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Credentials that answer, in an account where nothing is yet. Its endpoint."""
    httpx2.post(f"{moto_url}/moto-api/reset", trust_env=False).raise_for_status()
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return moto_url


@pytest.fixture
def aws(account: str) -> Callable[[str], Any]:
    opened = session(REGION)
    return lambda service: client(opened, service)


@pytest.fixture
def settings_with() -> Callable[..., Settings]:
    """The settings of a stack that an `up` would not refuse, with these changes."""

    def make(stack: str = "prod", **changes: Any) -> Settings:
        given = {key: value for key, value in CONFIG.items() if key != "eks" or stack != "serverless"} | changes
        texts = {f"assistant:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
        return settings_from(texts, stack)

    return make


@pytest.fixture
def make_engine(tmp_path: Path) -> Callable[..., Engine]:
    """A checkout of the test's own with a configured stack ``prod`` in it."""

    def make(stack: str = "prod", environment: dict[str, str] | None = None, **changes: Any) -> Engine:
        (tmp_path / "stacks").mkdir(exist_ok=True)
        config = {
            f"assistant:{key}": value for key, value in (CONFIG | changes).items() if key != "eks" or stack != "serverless"
        }
        (tmp_path / "stacks" / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": config}))
        own = dict(os.environ) | {"PULUMI_BACKEND_URL": f"file://{tmp_path}/backend"}
        return Engine(checkout=tmp_path, stack=stack, environment=own | (environment or {}))

    return make
