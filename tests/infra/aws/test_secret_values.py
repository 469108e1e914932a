"""The resource that sees to the secrets' values, with AWS' APIs on loopback, and never knows one."""

from __future__ import annotations

import json

import httpx2
import pytest
from moto.server import ThreadedMotoServer

from infra.aws import secret_values
from infra.aws.secret_values import SecretValues, SecretValuesArgs, SecretValuesProvider
from infra.aws.session import client, on_ec2, session
from infra.errors import DeploymentError
from policies.secret_scanning import scan

REGION = "eu-central-1"
PLACE = "assistant/prod/api_key"
INPUTS = {"places": [["api_key", PLACE]], "numbers": {"api_key": 1.0}, "region": REGION, "profile": None, "redis_user": None}


@pytest.fixture
def manager(monkeypatch):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx2.post(f"http://{host}:{port}/moto-api/reset", trust_env=False).raise_for_status()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield client(session(REGION), "secretsmanager")
    server.stop()


def value(manager):
    return manager.get_secret_value(SecretId=PLACE)["SecretString"]


def test_a_secret_gets_a_value_that_the_resource_does_not_hold(manager):
    manager.create_secret(Name=PLACE)
    outs = SecretValuesProvider().create(INPUTS).outs
    assert value(manager) not in json.dumps(outs)
    assert outs["version_ids"] == {"api_key": manager.get_secret_value(SecretId=PLACE)["VersionId"]}


def test_a_raised_number_is_an_update_that_gives_a_new_value_and_a_new_version(manager):
    manager.create_secret(Name=PLACE)
    provider = SecretValuesProvider()
    olds = provider.create(INPUTS).outs
    before = value(manager)
    assert not provider.diff("secret-values", olds, INPUTS).changes
    news = INPUTS | {"numbers": {"api_key": 2.0}}
    assert provider.diff("secret-values", olds, news).changes
    outs = provider.update("secret-values", olds, news).outs
    assert value(manager) != before
    assert outs["version_ids"] != olds["version_ids"]


def test_a_missing_secret_is_told_without_a_traceback(manager):
    with pytest.raises(DeploymentError, match="assistant/prod/api_key is not in Secrets Manager"):
        SecretValuesProvider().create(INPUTS)


def test_a_metadata_service_is_asked_on_a_machine_of_ec2_alone(tmp_path):
    vendor = tmp_path / "sys_vendor"
    assert not on_ec2(vendor, {})
    vendor.write_text("QEMU\n")
    assert not on_ec2(vendor, {})
    vendor.write_text("Amazon EC2\n")
    assert on_ec2(vendor, {})
    assert not on_ec2(vendor, {"AWS_EC2_METADATA_DISABLED": "true"})


def test_the_policies_see_no_secret_in_what_is_registered(monkeypatch):
    """R06 looks at the names under which texts stand: `secrets` and `api_key` would be such names."""
    registered: dict[str, object] = {}
    monkeypatch.setattr(
        secret_values.Resource, "__init__", lambda _self, _provider, _name, props, _opts: registered.update(props)
    )
    SecretValues("values", SecretValuesArgs(secrets={"api_key": PLACE}, numbers={"api_key": 1}, region=REGION))
    assert registered["places"] == [["api_key", PLACE]]
    assert scan(("places", "[0]", "[0]"), "api_key") is None
    assert scan(("places", "[0]", "[1]"), PLACE) is None
