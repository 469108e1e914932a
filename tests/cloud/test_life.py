"""Each environment through its life: brought up in spite of failures, looked at again, its images renewed, destroyed in spite
of failures, with nothing left but what is kept on purpose.

``prod`` and ``serverless`` fail at a sample of their resources, and live through more; with ASSISTANT_CLOUD_ALL=1
(``make test-cloud ALL=1``) all four do, and fail at every resource of AWS. ASSISTANT_CLOUD_SEED draws another sample.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cloud_stack import CloudStack
from deployment import Run

from infra.profiles import PROFILES
from tools.rehearsal import observed, runs

ALL = os.environ.get("ASSISTANT_CLOUD_ALL") == "1"
SEED = os.environ.get("ASSISTANT_CLOUD_SEED") or "1"
pytestmark = [pytest.mark.cloud, pytest.mark.timeout(7200 if ALL else 900)]
Cloud = Callable[..., CloudStack]
Tell = Callable[[str], None]

# What no profile sets by itself, and one of the lives has.
MORE: Mapping[str, Mapping[str, Any]] = {
    "staging": {
        "gpuPools": [
            {"name": "l4", "instanceTypes": ["g6.xlarge"], "minimum": 1},
            {"name": "spot", "instanceTypes": ["g5.xlarge"], "image": "bottlerocket", "capacity": "spot", "timeSlices": 2},
        ],
        "inference": {"device": "cuda"},
    }
}
OF = 120  # about two resources of each error and operation in a stack of 220
EVERY = [
    {"urn": "*", "operation": operation, "error": error, "each": True}
    for operation, error in (("create", "QuotaExceeded"), ("update", "Throttling"), ("delete", "Throttling"))
]
SAMPLE = [
    {"urn": "*", "operation": operation, "error": error, "each": True, "of": OF, "seed": f"{SEED} {error} {operation}"}
    for operation, error in (
        ("create", "QuotaExceeded"),
        ("create", "Throttling"),
        ("create", "InsufficientCapacity"),
        ("update", "Throttling"),
        ("delete", "Throttling"),
    )
]
WORDS = ("limit", "quota", "Rate exceeded", "do not have sufficient", "more buckets than allowed")
UPS = 400 if ALL else 12


# Two processes with about as much to do each: what waits behind a long one while the other is idle takes minutes.
SIDES = {"prod": "one", "serverless": "other", "staging": "other", "dev": "one"}


@pytest.mark.parametrize("profile", [pytest.param(name, marks=pytest.mark.xdist_group(side)) for name, side in SIDES.items()])
def test_a_stack_lives_from_nothing_to_nothing(cloud: Cloud, tell: Tell, profile: str) -> None:
    whole = ALL or profile in ("prod", "serverless")
    stack = cloud(profile, **MORE.get(profile, {}))
    if whole:
        stack.failures = EVERY if ALL else SAMPLE
        failed = brought_up(stack, tell)
        assert failed, f"seed {SEED} draws no resource of {profile}: take another"
        no_change(stack)
    else:
        first = stack.up(policies=True)
        assert first.code == 0, first.screen
    assert stack.misremembered() == []
    assert observed.exactly_the_edge(stack.there()) == []

    assert stack.refresh().code == 0
    no_change(stack)
    assert goes_beside_the_drain(stack) == []
    protected = PROFILES[profile]["protection"]  # type: ignore[index]
    if protected:
        refused = stack.down()
        assert refused.returncode != 0
        assert "is protected, so it is not removed" in refused.stdout

    if whole or protected:
        # As docs/aws.md says: the protection is taken off by the setting, then the stack can go.
        stack.sources = "of the next version"
        stack.configure(protection=False)
        renewed = mended(stack, tell, policies=whole)
        assert {name for run in renewed for name in run.changed if "gateway" in name}
        assert [name for run in renewed for name in runs.lost(steps(run))] == []
        assert observed.exactly_the_edge(stack.there()) == []

    canary = stack.secrets()
    assert set(canary) >= {"api_key", "inference_api_key", "redis_password", "generic_webhook_secret"}
    exported = stack.engine.read("stack", "export", "--show-secrets")
    places = {"screens": "\n".join(stack.screens), "the state, opened": exported, **stack.written()}
    assert [(name, place) for name, value in canary.items() for place, text in places.items() if value in text] == []

    taken_down(stack, tell)
    assert observed.left(stack.there()).orphans == ()
    assert stack.objects() == []


def no_change(stack: CloudStack) -> None:
    again = stack.pulumi("preview", "--expect-no-changes")
    assert again.code == 0, again.screen


def brought_up(stack: CloudStack, tell: Tell) -> list[str]:
    """From nothing, up by up, each going on where the last one failed. The names of what failed on the way."""
    *failing, _ = mended(stack, tell)
    return [urn for run in failing for urn in runs.failed(run.events)]


def mended(stack: CloudStack, tell: Tell, *, policies: bool = False) -> list[Run]:
    """All runs until one comes to a good end."""
    done: list[Run] = []
    while len(done) < UPS:
        before = set(stack.leftovers())
        done.append(stack.up(policies=policies, unprotect=True))
        run = done[-1]
        if run.code == 0:
            return done
        names = [f"{runs.type_of(urn)} {runs.name_of(urn)}" for urn in runs.failed(run.events)]
        assert names, run.screen
        assert any(word in run.screen for word in WORDS), run.screen
        assert "Traceback" not in run.screen, run.screen
        assert stack.misremembered() == []
        assert before <= set(stack.leftovers()), "what had been made was removed"
        for name in names:
            tell(f"{stack.engine.stack}, seed {SEED}, up {len(done)} ({run.seconds:.0f} s): failed at {name}")
    pytest.fail(f"not up after {UPS} times:\n{done[-1].screen}")


def goes_beside_the_drain(stack: CloudStack) -> list[str]:
    """What a destroy would delete before the drain is over, where there is one: a destroy that is broken off then could not run
    the program again, which is handed nothing for what is gone."""
    resources = {it["urn"]: it for it in json.loads(stack.engine.read("stack", "export"))["deployment"]["resources"]}
    first = [urn for urn, it in resources.items() if "BeforeDelete" in it.get("resourceHooks", {})]
    waiting, known = list(first), set(first)
    while waiting:
        one = resources[waiting.pop()]
        below = {*one.get("dependencies", ()), one.get("parent"), one.get("provider", "").rpartition("::")[0]}
        waiting += (new := below & resources.keys() - known)
        known |= new
    assert bool(first) == (stack.engine.target() == "eks")
    return sorted(urn for urn, it in resources.items() if first and it.get("custom") and urn not in known)


def taken_down(stack: CloudStack, tell: Tell) -> None:
    """By `make down`, again and again while AWS refuses something."""
    for number in range(1, UPS):
        done = stack.down()
        if done.returncode == 0:
            return
        assert "Rate exceeded" in done.stdout, done.stdout
        assert "Traceback" not in done.stdout, done.stdout
        assert stack.misremembered(observed.left(stack.there()).kept) == []
        tell(f"{stack.engine.stack}, seed {SEED}, down {number}: failed; {len(stack.records())} resources are left")
    pytest.fail(f"not down after {UPS} times")


def steps(run: Run) -> list[tuple[str, str]]:
    """(operation, URN) of all that was not left alone."""
    outputs = [event["resOutputsEvent"]["metadata"] for event in run.events if "resOutputsEvent" in event]
    return [(it["op"], it["urn"]) for it in outputs if it["op"] not in runs.UNCHANGED]
