"""What `make down` does to a stack that is down already."""

from __future__ import annotations

import pytest

from infra.credentials import Credentials
from infra.local.layout import AUDIT
from tools.stack.teardown import forget_kept, holds_resources


@pytest.mark.parametrize(
    ("types", "holds"),
    [
        ([], False),
        (["pulumi:pulumi:Stack", "pulumi:providers:aws", "pulumi:providers:pulumi-python"], False),
        (["pulumi:pulumi:Stack", "aws:kms/key:Key"], True),
    ],
)
def test_a_state_of_providers_alone_holds_nothing(types, holds):
    assert holds_resources({"deployment": {"resources": [{"type": kind} for kind in types]}}) is holds
    assert not holds_resources({"version": 3})


def test_what_a_down_leaves_of_a_stack_goes_with_the_stack_and_another_keeps_its_own(tmp_path):
    for stack in ("mine", "other"):
        Credentials(stack, tmp_path).write("slack_bot_token", "x")
        (tmp_path / AUDIT / stack).mkdir(parents=True)
    forget_kept(tmp_path, "mine")
    assert not Credentials("mine", tmp_path).directory.exists()
    assert not (tmp_path / AUDIT / "mine").exists()
    assert Credentials("other", tmp_path).read("slack_bot_token") == "x"
    assert (tmp_path / AUDIT / "other").is_dir()
