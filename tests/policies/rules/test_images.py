"""References are read by Docker's grammar, and an image that is not built yet by what is going to build it."""

from __future__ import annotations

from typing import Any

import pytest
from cases.images import IMAGE, THEME
from kubernetes_resources import DIGEST, ecs_container, task

from infra.kubernetes.third_party_images import CLUSTER_AUTOSCALER, DEVICE_PLUGIN, LOAD_BALANCER_CONTROLLER
from policies.ecs import TASK_DEFINITION
from policies.resource import Resource, Stack
from policies.rule import PASS, Outcome, all_of, judge, judge_stack
from policies.rules import RULES
from policies.rules.images import Reference, reference
from policies.values import UNKNOWN

(R53,) = (rule for rule in RULES if rule.id == "R53")
(R24,) = (rule for rule in RULES if rule.id == "R24")
COMPONENT = "urn:pulumi:prod::assistant::assistant:aws:EcsTask::gateway"


@pytest.mark.parametrize(
    ("image", "read"),
    [
        ("busybox", Reference("docker.io", "busybox", "")),
        ("team/busybox:1", Reference("docker.io", "team/busybox", ":1")),
        ("ghcr.io/team/x", Reference("ghcr.io", "team/x", "")),
        (f"ghcr.io/x:1@{DIGEST}", Reference("ghcr.io", "x", f":1@{DIGEST}")),
        ("registry:5000/team/x:1", Reference("registry:5000", "team/x", ":1")),
        (f"localhost/x@{DIGEST}", Reference("localhost", "x", f"@{DIGEST}")),
    ],
)
def test_a_reference_is_a_registry_a_path_and_the_rest(image: str, read: Reference) -> None:
    assert reference(image) == read


@pytest.mark.parametrize(
    ("image", "by_content"),
    [
        (f"x@{DIGEST}", True),
        (f"x:tag@{DIGEST}", True),
        (f"x@sha512:{'a' * 128}", True),
        (f"x@sha512:{'a' * 64}", False),
        (f"x@sha256:{'a' * 63}", False),
        (f"x@sha256:{'A' * 64}", False),
        (f"x@{DIGEST}@{DIGEST}", False),
        ("x", False),
        ("x:latest", False),
        (f"x:{'a' * 64}", False),
        (f"localhost/x:{'a' * 16}", True),
        (f"localhost/x:{'a' * 15}", False),
        ("localhost/x:latest", False),
        ("localhost/x", False),
        (f"example.org/localhost/x:{'a' * 16}", False),
    ],
)
def test_only_a_digest_names_content_and_for_what_was_loaded_its_tag(image: str, by_content: bool) -> None:
    assert reference(image).is_by_content is by_content


def outcome(stack: Stack, rule: Any = R53) -> Outcome:
    said = [judge(check, each) for check in rule.checks for each in stack.resources if each.type in check.types]
    return all_of([*said, *(finding.verdict for finding in judge_stack(rule.relations[0], stack))]).outcome


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        (LOAD_BALANCER_CONTROLLER, True),
        (DEVICE_PLUGIN, True),
        (CLUSTER_AUTOSCALER["1.35"], True),
        (CLUSTER_AUTOSCALER["1.36"], True),
        (f"localhost/assistant/gateway:{'a' * 16}", True),
        (f"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/x@{DIGEST}", True),
        (f"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/x@{DIGEST}", True),
        (f"12345678901.dkr.ecr.eu-central-1.amazonaws.com/x@{DIGEST}", False),
        (f"123456789012.dkr.ecr.eu-central-1.amazonaws.com.example.org/x@{DIGEST}", False),
        (f"example.org/123456789012.dkr.ecr.eu-central-1.amazonaws.com/x@{DIGEST}", False),
        (f"public.ecr.aws/somebody/x@{DIGEST}", False),
        (f"public.ecr.aws/eksy/x@{DIGEST}", False),
        (f"nvidia/x@{DIGEST}", False),
    ],
)
def test_an_image_comes_from_a_registry_that_was_chosen(image: str, allowed: bool) -> None:
    assert (outcome(THEME.stack(THEME.resource("gateway", {IMAGE: image}))) is Outcome.PASS) is allowed


def test_registries_are_chosen_by_configuration_instead_of_those_that_stand_here() -> None:
    assert R53.configure is not None
    configured = R53.configure(R53, {"registries": ["registry.example.com/team"]})
    given = THEME.stack(THEME.resource("gateway", {IMAGE: f"registry.example.com/team/x@{DIGEST}"}))
    upstream = THEME.stack(THEME.resource("gateway", {IMAGE: f"registry.k8s.io/x@{DIGEST}"}))
    assert (outcome(given), outcome(given, configured)) == (Outcome.FAIL, Outcome.PASS)
    assert (outcome(upstream), outcome(upstream, configured)) == (Outcome.PASS, Outcome.FAIL)
    assert R53.configure(R53, {}) is R53


@pytest.mark.parametrize(
    ("registry", "expected"),
    [("registry.example.com/team", Outcome.PASS), ("registry.example.com/te", Outcome.FAIL), (None, Outcome.FAIL)],
)
def test_what_the_stack_itself_pushes_to_is_chosen(registry: str | None, expected: Outcome) -> None:
    built = Resource("urn:build", "pulumi-python:dynamic/cluster:Image", "gateway", {"registry": registry})
    gateway = THEME.resource("gateway", {IMAGE: f"registry.example.com/team/assistant/gateway@{DIGEST}"})
    assert outcome(Stack([built, gateway])) is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("docker-build:index:Image", Outcome.PASS),
        ("pulumi-python:dynamic/cluster:Image", Outcome.PASS),
        ("aws:ecr/repository:Repository", Outcome.UNDETERMINED),  # its address with a tag that somebody chose
    ],
)
def test_an_unknown_image_is_decided_by_what_it_was_computed_from(source: str, expected: Outcome) -> None:
    maker = Resource("urn:maker", source, "maker", {"imageScanningConfiguration": {"scanOnPush": True}})
    edges = {"spec": ("urn:gone", "urn:maker")}
    pods = THEME.resource("gateway", {IMAGE: UNKNOWN}, property_dependencies=edges)
    assert outcome(Stack([maker, pods])) is expected
    elsewhere = THEME.resource("gateway", {IMAGE: UNKNOWN}, property_dependencies={"metadata": ("urn:maker",)})
    assert outcome(Stack([maker, elsewhere])) is Outcome.UNDETERMINED
    component = Resource(COMPONENT, "assistant:aws:EcsTask", "x", {"containers": [{**ecs_container(), "image": UNKNOWN}]})
    described = {**task(), "containerDefinitions": UNKNOWN}
    edges = {"containerDefinitions": ("urn:maker",)}
    first = Resource("urn:task", TASK_DEFINITION, "t", described, parent=COMPONENT, property_dependencies=edges)
    assert outcome(Stack([maker, component, first])) is expected


def test_a_known_image_beside_a_built_one_is_judged_all_the_same() -> None:
    maker = Resource("urn:maker", "docker-build:index:Image", "maker", {})
    changes = {IMAGE: UNKNOWN, "spec/template/spec/initContainers/0/image": f"quay.io/x@{DIGEST}"}
    pods = THEME.resource("gateway", changes, property_dependencies={"spec": ("urn:maker",)})
    assert outcome(Stack([maker, pods])) is Outcome.FAIL


def test_a_container_without_an_image_has_none_to_judge() -> None:
    assert outcome(THEME.stack(THEME.resource("gateway", {IMAGE: None}))) is Outcome.PASS


def test_what_is_proposed_for_a_repository_passes() -> None:
    (check,), remedy = R24.checks, R24.remediation
    bare = THEME.resource("repository", {"imageScanningConfiguration": None})
    assert remedy is not None
    ((path, value),) = remedy.propose(bare).items()
    assert judge(check, THEME.resource("repository", {path[0]: {path[1]: value}})) == PASS
