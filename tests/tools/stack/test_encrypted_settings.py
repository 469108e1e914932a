"""A setting that somebody has encrypted is read as the program reads it, by the engine that alone can."""

from __future__ import annotations

import dataclasses
import os
import shutil

import pytest

from tools.pulumi.environment import CHECKOUT, engine_environment
from tools.stack.engine import EngineError, is_encrypted

pytestmark = pytest.mark.engine


@pytest.fixture
def engine(make_engine, tmp_path):
    environment = engine_environment(CHECKOUT, tmp_path / "state", environment=os.environ)
    if shutil.which("pulumi", path=environment["PATH"]) is None:
        pytest.skip("the Pulumi CLI is not installed; `make environment` installs it")
    (tmp_path / "state" / "pulumi").mkdir(parents=True)
    (tmp_path / "state" / "passphrase").write_text("of this test alone")
    (tmp_path / "Pulumi.yaml").write_text("name: assistant\nruntime: python\nstackConfigDir: stacks\n")
    names = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE")
    own = {"PULUMI_BACKEND_URL": f"file://{tmp_path}/state/pulumi", names[1]: str(tmp_path / "state" / "passphrase")}
    made = make_engine({**environment, **own}, target="local", logLevel="debug")
    made.read("stack", "select", "--create", "trial", "--non-interactive", stack_flag=False)
    return made


def encrypt(engine, key: str, value: str) -> None:
    engine.read("config", "set", "--path", "--secret", f"assistant:{key}", value)
    assert "secure:" in engine.configuration.read_text()


def test_an_encrypted_setting_is_read(engine):
    encrypt(engine, "platforms.generic.url", "http://10.0.0.1:8090")
    encrypt(engine, "logLevel", "warning")
    settings = engine.settings()
    assert settings.platforms.generic.url == "http://10.0.0.1:8090"
    assert settings.log_level == "warning"


def test_a_wrong_one_is_named_and_not_shown(engine):
    encrypt(engine, "logLevel", "hunter2")
    with pytest.raises(EngineError) as refused:
        engine.settings()
    assert "logLevel" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_one_that_cannot_be_read_is_named_with_what_to_do(engine, tmp_path):
    encrypt(engine, "logLevel", "warning")
    (tmp_path / "state" / "passphrase").write_text("another")
    with pytest.raises(EngineError, match=r"(?s)assistant:logLevel.*encrypted.*PULUMI_CONFIG_PASSPHRASE"):
        dataclasses.replace(engine).settings()


@pytest.mark.parametrize(
    ("value", "encrypted"),
    [("x", False), ({"secure": "v1:x"}, True), ({"a": [{"b": {"secure": "v1:x"}}]}, True), ({"secure": 1, "b": 2}, False)],
)
def test_an_encrypted_value_is_told_from_others(value, encrypted):
    assert is_encrypted(value) is encrypted
