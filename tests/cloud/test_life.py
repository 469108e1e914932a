"""Each environment through its life: previewed, brought up, looked at again, its images renewed, a part failed and mended,
destroyed, with nothing left but what is kept on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cloud_stack import CloudStack, replaced

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(300)]
Cloud = Callable[..., CloudStack]

# What holds data or names: never replaced by an update.
STATEFUL = (
    "aws:s3/bucket:Bucket",
    "aws:kms/key:Key",
    "aws:memorydb/cluster:Cluster",
    "aws:secretsmanager/secret:Secret",
    "aws:eks/cluster:Cluster",
    "aws:ecr/repository:Repository",
    "aws:backup/vault:Vault",
)
# What a destroy keeps: the audit log, for as long as it was promised, and the key that reads it.
KEPT = ("audit",)
FAILING = {
    "dev": "aws:eks/nodeGroup:NodeGroup",
    "staging": "aws:memorydb/cluster:Cluster",
    "prod": "aws:lb/listener:Listener",
    "serverless": "aws:ecs/service:Service",
}


@pytest.mark.parametrize("profile", ["dev", "staging", "prod", "serverless"])
def test_a_stack_lives_from_nothing_to_nothing(cloud: Cloud, profile: str) -> None:
    stack = cloud(profile)
    first = stack.up(policies=True)
    assert first.code == 0, first.screen
    made = len(stack.records())
    assert made > 80

    again = stack.pulumi("preview", "--expect-no-changes")
    assert again.code == 0, again.screen
    assert stack.refresh().code == 0
    again = stack.pulumi("preview", "--expect-no-changes")
    assert again.code == 0, again.screen

    stack.sources = "of the next version"
    upgraded = stack.up()
    assert upgraded.code == 0, upgraded.screen
    assert {name for name in upgraded.changed if "gateway" in name}
    assert not [urn for urn in replaced_urns(upgraded) if urn.split("::")[2].rpartition("$")[2] in STATEFUL]

    canary = stack.secrets()
    assert set(canary) >= {"api_key", "inference_api_key", "redis_password", "generic_webhook_secret"}
    exported = stack.engine.read("stack", "export", "--show-secrets")
    places = {"screens": "\n".join(stack.screens), "the state, opened": exported, **stack.written()}
    assert [(name, place) for name, value in canary.items() for place, text in places.items() if value in text] == []

    unprotected(stack)
    gone = stack.destroy()
    assert gone.code == 0, gone.screen
    left = [record for record in stack.records() if not any(word in record.id + record.name for word in KEPT)]
    assert [f"{record.token} {record.id}" for record in left] == []
    objects = json.loads((stack.folder / "objects.json").read_text()) if (stack.folder / "objects.json").exists() else []
    assert objects == []


@pytest.mark.parametrize("profile", ["dev", "staging", "prod", "serverless"])
def test_an_up_that_failed_goes_on_where_it_was(cloud: Cloud, profile: str) -> None:
    stack = cloud(profile)
    token = FAILING[profile]
    stack.failures = [{"urn": f"*{token}::*", "operation": "create", "error": "QuotaExceeded", "times": 1}]
    failed = stack.up()
    assert failed.code != 0
    assert "quota" in failed.screen.lower() or "limit" in failed.screen.lower()
    some = {record.id for record in stack.records()}
    assert some  # what had been made is known, and is not made twice
    mended = stack.up()
    assert mended.code == 0, mended.screen
    assert some <= {record.id for record in stack.records()}
    assert not replaced(mended)


def unprotected(stack: CloudStack) -> None:
    """As docs/aws.md says: take the protection off by the setting, then destroy."""
    stack.configure(protection=False)
    run = stack.up()
    assert run.code == 0, run.screen


def replaced_urns(run: object) -> list[str]:
    events = run.events  # type: ignore[attr-defined]
    return [
        event["resOutputsEvent"]["metadata"]["urn"]
        for event in events
        if "resOutputsEvent" in event
        and ("replace" in event["resOutputsEvent"]["metadata"]["op"] or event["resOutputsEvent"]["metadata"]["op"] == "delete")
    ]
