"""A bucket and a key for the state, made once, and what an interruption left is made complete."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tools.aws import backend, bootstrap
from tools.pulumi.environment import backends, engine_environment
from tools.stack.engine import Engine, EngineError

CHECKOUT = Path(__file__).resolve().parents[3]
BUCKET = "assistant-prod-state-123456789012-eu-central-1"


@pytest.fixture
def without_stack(monkeypatch):
    """The engine's part has a test of its own."""
    made = []
    monkeypatch.setattr(bootstrap, "ensure_stack", lambda engine, provider, say: made.append((engine, provider)))
    return made


def run(engine):
    said = []
    bootstrap.run(engine, said.append)
    return "\n".join(said)


def test_the_bucket_is_versioned_encrypted_and_open_to_nobody(aws, make_engine, without_stack):
    run(make_engine())
    s3, key = aws("s3"), aws("kms").describe_key(KeyId="alias/assistant-prod-state")["KeyMetadata"]
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key["Arn"]}
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    (kept,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert kept["NoncurrentVersionExpiration"]["NoncurrentDays"] == 365
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == "eu-central-1"
    assert aws("kms").get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]


def test_the_engine_then_finds_the_backend(account, make_engine, without_stack):
    engine = make_engine()
    assert "backends.json" in run(engine)
    (url,) = backends(engine.checkout / ".state").values()
    assert url.startswith(f"s3://{BUCKET}?region=eu-central-1")
    ((_, provider),) = without_stack
    assert provider.startswith("awskms:///alias/assistant-prod-state?")


def test_a_second_run_makes_nothing(aws, make_engine, without_stack):
    run(make_engine())
    said = run(make_engine())
    assert "alias/assistant-prod-state is there" in said and f"{BUCKET} is there" in said
    assert len(aws("kms").list_keys()["Keys"]) == 1


def test_a_key_whose_alias_an_interruption_took_is_found_again(aws, make_engine, without_stack):
    run(make_engine())
    before = aws("kms").describe_key(KeyId="alias/assistant-prod-state")["KeyMetadata"]["Arn"]
    aws("kms").delete_alias(AliasName="alias/assistant-prod-state")
    run(make_engine())
    assert aws("kms").describe_key(KeyId="alias/assistant-prod-state")["KeyMetadata"]["Arn"] == before


def test_another_account_is_refused_before_anything_is_made(aws, make_engine, without_stack):
    with pytest.raises(EngineError, match=r"account 123456789012.*210987654321.*Nothing was changed"):
        run(make_engine(aws={"account": "210987654321"}))
    assert aws("s3").list_buckets()["Buckets"] == []


def test_no_credentials_are_told(no_account, make_engine):
    with pytest.raises(EngineError, match="AWS credentials: none found"):
        run(make_engine())


def test_the_first_region_of_all_takes_no_location(aws, make_engine, without_stack):
    run(make_engine(aws={"region": "us-east-1"}))
    assert [b["Name"] for b in aws("s3").list_buckets()["Buckets"]] == ["assistant-prod-state-123456789012-us-east-1"]


@pytest.mark.engine
def test_the_real_engine_keeps_the_stack_there_encrypted_by_the_key(aws, make_engine, without_stack, monkeypatch, tmp_path):
    shutil.copyfile(CHECKOUT / "Pulumi.yaml", tmp_path / "Pulumi.yaml")
    (tmp_path / "infra").mkdir()
    environment = {name: value for name, value in make_engine().environment.items() if not name.startswith("PULUMI_")}
    own = {"HOME": str(tmp_path), "PATH": engine_environment(CHECKOUT, environment=environment)["PATH"]}
    run(Engine(checkout=tmp_path, stack="prod", environment=environment | own))
    aws("s3").delete_bucket_policy(Bucket=BUCKET)  # the stand-in speaks no TLS, and reads a Deny without its condition
    ((engine, provider),) = without_stack
    monkeypatch.undo()  # the real `ensure_stack`; the engine has its environment already
    said: list[str] = []
    for _ in range(2):
        bootstrap.ensure_stack(engine, provider, said.append)
    assert "stack    prod made" in said[0] and said[1] == "stack    prod is there"
    document = engine.document()
    assert document["secretsprovider"].startswith("awskms:///alias/assistant-prod-state")
    assert "encryptionsalt" not in document
    assert backend.problem(engine.environment, document, "prod", "prod") is None
    assert engine.environment["PULUMI_BACKEND_URL"].startswith(f"s3://{BUCKET}")
