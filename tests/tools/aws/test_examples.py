"""The tracked examples of the AWS stacks: what they set is valid, and what their #: lines show are the defaults."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from infra.profiles import PROFILES
from infra.settings_reader import settings_from
from tools.aws import checks

CHECKOUT = Path(__file__).resolve().parents[3]


def example(stack: str, *, with_comments: bool) -> dict[str, str]:
    text = (CHECKOUT / "stacks" / f"{stack}.example.yaml").read_text(encoding="utf-8")
    if with_comments:
        text = "\n".join(re.sub(r"^(\s*)#: ?", r"\1", line) for line in text.splitlines())
    config = yaml.safe_load(text)["config"]
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}


@pytest.mark.parametrize("stack", PROFILES)
def test_an_example_is_valid_and_shows_the_defaults(stack):
    assert settings_from(example(stack, with_comments=True), stack) == settings_from(example(stack, with_comments=False), stack)


@pytest.mark.parametrize("stack", PROFILES)
def test_an_up_refuses_what_it_leaves_to_be_filled_in(stack):
    settings = settings_from(example(stack, with_comments=False), stack)
    assert checks.examples(settings).verdict == "refused"


@pytest.mark.parametrize("stack", PROFILES)
def test_the_settings_that_it_proposes_are_settings(stack):
    """The lines that a person takes the # from."""
    text = (CHECKOUT / "stacks" / f"{stack}.example.yaml").read_text(encoding="utf-8")
    body = text[text.index("config:") :]
    lines = [re.sub(r"^  # (?=assistant:|  )", "  ", line) for line in body.splitlines() if not line.strip().startswith("#:")]
    kept = [line for line in lines if not line.strip().startswith("#")]
    config = yaml.safe_load("\n".join(kept).replace("<revision>", "a" * 40).replace("<of the file>", "b" * 64))["config"]
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    settings = settings_from(given, stack)
    assert settings.aws.account == "123456789012" and settings.model.is_pinned


@pytest.mark.parametrize("stack", PROFILES)
def test_the_copy_is_no_tracked_file(stack):
    ignored = subprocess.run(["git", "check-ignore", "-q", f"stacks/Pulumi.{stack}.yaml"], cwd=CHECKOUT, check=False)
    assert ignored.returncode == 0
