"""Where an AWS stack's state may lie."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from tools.aws import backend
from tools.pulumi.environment import engine_environment, own_backend, remember_backend

S3 = {"PULUMI_BACKEND_URL": "s3://bucket?region=eu-central-1"}
DISK = {"PULUMI_BACKEND_URL": "file:///home/me/.state"}
KMS = {"secretsprovider": "awskms:///alias/x"}


@pytest.mark.parametrize(
    ("environment", "document", "profile", "words"),
    [
        (S3, KMS, "prod", None),
        (DISK, {}, "prod", "this machine's disk"),
        (DISK, {}, "serverless", "this machine's disk"),
        (DISK, {}, "staging", "this machine's disk"),
        (DISK, {}, "dev", None),
        (S3, {}, "prod", "passphrase"),
        (S3, {"encryptionsalt": "v1:x"}, "prod", "passphrase"),
        (S3, {"secretsprovider": "passphrase"}, "prod", "passphrase"),
        ({"PULUMI_BACKEND_URL": "https://api.pulumi.com"}, {}, "prod", None),
        ({**DISK, backend.OVERRIDE: "1"}, {}, "prod", None),
    ],
)
def test_production_refuses_a_disk_and_a_passphrase(environment, document, profile, words):
    told = backend.problem(environment, document, "prod", profile)
    assert told is None if words is None else words in told and "make bootstrap STACK=prod" in told and backend.OVERRIDE in told


def test_stand_ins_write_into_no_real_state(tmp_path: Path):
    checkouts_own = own_backend(tmp_path / ".state")
    assert backend.standin_problem({"PULUMI_BACKEND_URL": "file:///tmp/rehearsal"}, tmp_path) is None
    for url in (checkouts_own, "s3://bucket", ""):
        assert "PULUMI_BACKEND_URL=file://" in (backend.standin_problem({"PULUMI_BACKEND_URL": url}, tmp_path) or "")


def test_names_fit_a_bucket_and_addresses_name_the_region(settings_with):
    settings = settings_with(aws={"region": "ap-northeast-1", "profile": "work"})
    url, provider = backend.addresses("a-stack-of-a-rather-long-name-indeed", "123456789012", settings)
    name = url.removeprefix("s3://").partition("?")[0]
    assert len(name) <= 63
    assert url.endswith("?region=ap-northeast-1&awssdk=v2&profile=work")
    assert provider.startswith("awskms:///alias/assistant-") and "region=ap-northeast-1" in provider


class TestTheEnginesEnvironment:
    """A stack that was bootstrapped has a backend of its own; no other stack has it."""

    BARE: ClassVar = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}

    def url(self, checkout: Path, stack: str | None, **given: str) -> str:
        return engine_environment(checkout, environment={**self.BARE, **given}, stack=stack)["PULUMI_BACKEND_URL"]

    def test_the_record_is_honoured_for_its_stack_alone(self, tmp_path):
        remember_backend(tmp_path / ".state", "prod", "s3://one")
        remember_backend(tmp_path / ".state", "staging", "s3://two")
        assert self.url(tmp_path, "prod") == "s3://one"
        assert self.url(tmp_path, "staging") == "s3://two"
        assert self.url(tmp_path, "local") == self.url(tmp_path, None) == own_backend(tmp_path / ".state")

    def test_what_tools_activate_has_set_was_not_chosen(self, tmp_path):
        remember_backend(tmp_path / ".state", "prod", "s3://one")
        activated = engine_environment(tmp_path, environment=self.BARE)
        assert engine_environment(tmp_path, environment=activated, stack="prod")["PULUMI_BACKEND_URL"] == "s3://one"

    def test_what_the_user_has_set_stays(self, tmp_path):
        remember_backend(tmp_path / ".state", "prod", "s3://one")
        assert self.url(tmp_path, "prod", PULUMI_BACKEND_URL="s3://mine") == "s3://mine"
