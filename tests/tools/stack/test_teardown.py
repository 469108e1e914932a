"""What `make down` does to a stack that is down already."""

from __future__ import annotations

import pytest

from tools.stack.teardown import holds_resources


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
