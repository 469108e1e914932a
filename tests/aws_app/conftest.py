"""AWS as moto plays it, on a socket of this machine: the code under test finds it by AWS_ENDPOINT_URL, as any endpoint."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import httpx2
import pytest
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"


@dataclass(frozen=True)
class Aws:
    """``environment``: of a process with credentials that may do everything."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return self.without_credentials() | {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}

    def without_credentials(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "NO_PROXY": "127.0.0.1",
        }

    def client(self, service: str, region: str = REGION) -> Any:
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        return boto3.client(service, endpoint_url=self.url, region_name=region, **keys)

    def check_policies(self, *, after: int | None) -> None:
        """From the ``after``-th call on, callers need a policy that allows what they do; None: nobody does."""
        httpx2.post(f"{self.url}/moto-api/reset-auth", content=str(after if after is not None else 10**9))


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto_server: str) -> Iterator[Aws]:
    """An empty account."""
    httpx2.post(f"{moto_server}/moto-api/reset")
    found = Aws(moto_server)
    yield found
    found.check_policies(after=None)
