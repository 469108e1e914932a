"""In the partition ``aws-cn`` names are others: what would be made there says none of the global one's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cloud_stack import CloudStack

from tools.rehearsal import runs

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("other"), pytest.mark.timeout(600)]
REGION = "cn-north-1"
# A service that a policy names is `ecs-tasks.amazonaws.com` there too; a host, which names a region, is not.
FOREIGN = re.compile(
    r"arn:aws:|"  # an ARN of the global partition
    rf"{REGION}\.(?:[a-z0-9-]+\.)*amazonaws\.com(?!\.cn)|"  # a host of this region under the global suffix
    r"\b(?:us|eu|ap|sa|ca|me|af|il|mx)-(?:north|south|central)?(?:east|west|central|north|south)?-\d\b"  # another's region
)


@pytest.mark.parametrize("profile", ["prod", "serverless"])
def test_a_preview_in_china_names_nothing_of_the_global_partition(cloud: Callable[..., CloudStack], profile: str) -> None:
    stack = cloud(profile, aws={"region": REGION})
    run = stack.pulumi("preview")
    assert run.code == 0, run.screen
    made = {urn: inputs for urn, inputs in planned(run.events) if runs.type_of(urn).startswith(("aws:", "kubernetes:"))}
    assert len(made) > 150
    assert "arn:aws-cn:" in json.dumps(made)
    assert [(urn, found[0]) for urn, inputs in made.items() if (found := FOREIGN.search(json.dumps(inputs)))] == []
    assert stack.leftovers() == []


def planned(events: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """What the engine would make, with its inputs."""
    for event in events:
        if metadata := event.get("resourcePreEvent", {}).get("metadata"):
            yield metadata["urn"], (metadata.get("new") or {}).get("inputs") or {}
