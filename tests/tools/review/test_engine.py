"""A change of this very program and what a review says of it: the real engine, with stand-ins where the account would be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools.pulumi.engine import locate
from tools.pulumi.environment import ACTIVATED, CHECKOUT, ensure_state
from tools.review import versions
from tools.review.review import Verdict

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
STACK = "serverless"
EXAMPLE = Path("stacks") / f"{STACK}.example.yaml"
# One node of the queue less, nothing protected any more, and somebody else's trail in the place of this stack's.
CHANGED = """
  assistant:memorydb:
    replicas: 0
  assistant:protection: false
  assistant:audit:
    trail: external
    externalTrailArn: arn:aws:cloudtrail:eu-central-1:123456789012:trail/of-the-organisation
"""
IDENTITY = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.com")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """This checkout as it is now, as the only commit of a repository."""
    folder = tmp_path / "clone"
    versions.lay_out_working_tree(CHECKOUT, folder)
    for arguments in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "base")):
        subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, check=True)
    return folder


@pytest.fixture
def review(clone: Path, tmp_path: Path) -> Callable[..., tuple[subprocess.CompletedProcess[str], dict[str, Any]]]:
    """As somebody's fork runs it, who has no account and no home of ours."""
    if locate(os.environ) is None:
        pytest.skip("the Pulumi CLI is not installed: make environment sets it up")
    given = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_", "KUBE"))}
    given.pop(ACTIVATED, None)
    environment = {
        **given,
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
        "HOME": str(tmp_path),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PULUMI_PYTHON_CMD": sys.executable,
        "PYTHONPATH": str(clone),
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(stack: str = STACK) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
        command = [sys.executable, "-m", "tools.review", "--stack", stack, "review", "--base", "HEAD", "--labels", "bug"]
        done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
        file = clone / ".state" / "reviews" / stack / "review.json"
        assert file.exists(), done.stdout + done.stderr
        return done, json.loads(file.read_text(encoding="utf-8"))

    return run


def test_a_change_is_seen_against_its_base_with_what_it_costs_and_what_it_would_remove(clone: Path, review) -> None:
    example = clone / EXAMPLE
    example.write_text(example.read_text(encoding="utf-8").rstrip() + CHANGED, encoding="utf-8")
    done, told = review()
    hits = {hit["name"]: hit["what"] for hit in told["blastRadius"]}
    assert done.returncode == told["code"], done.stdout + done.stderr
    assert told["blind"] is False
    changed = {change["urn"].rpartition("::")[2]: change for change in told["changes"]}
    assert [entry["path"] for entry in changed["redis-cluster"]["properties"]] == ["numReplicasPerShard"]
    assert hits["trail-trail"] == "deleted"
    assert hits["redis-cluster"] == "no longer protected"
    assert told["monthlyCost"]["change"] < 0
    assert told["counts"]["same"] > 200, "what the change does not touch is the same, paths and all"
    text = (clone / ".state" / "reviews" / STACK / "review.md").read_text(encoding="utf-8")
    assert text.startswith(f"<!-- assistant-review: {STACK} -->")
    assert str(clone) not in text
    if not any(finding["fails"] for finding in told["findings"]):
        assert done.returncode == Verdict.NEEDS_LABEL


def test_a_stack_that_does_not_stand_yet_is_reviewed_as_such(clone: Path, review) -> None:
    ensure_state(clone / ".state")
    done, told = review("local")
    assert told["blind"] is True, done.stderr
    assert any("replacements and deletions cannot be seen" in note for note in told["notes"])
    assert set(told["counts"]) == {"create", "same"}
    text = (clone / ".state" / "reviews" / "local" / "review.md").read_text(encoding="utf-8")
    assert "Nothing that holds data" not in text
