"""Images: published ones as they are, others built from the checkout and brought to where the pods find them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rendering import CONNECTION, IMAGES, registered, settings_of

from infra.errors import DeploymentError
from infra.kubernetes import images
from infra.kubernetes.images import ImageProvider
from tools.images import build
from tools.images.errors import ImageError
from tools.images.inputs import reference
from tools.kubernetes.errors import ClusterError

provider = ImageProvider()
INPUTS = {
    "target": "gateway",
    "reference": "localhost/assistant/gateway:1",
    "registry": None,
    "context": "c",
    "kubeconfig": None,
}


@dataclass
class World:
    """Stands for the container engine, the registry and the cluster: what was asked of each."""

    built: list[str] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    failure: Exception | None = None
    nodes: list[list[str]] = field(default_factory=list)

    def get(self, *_arguments: str) -> dict[str, Any]:
        return {"items": [{"status": {"images": [{"names": names}] if names else []}} for names in self.nodes]}

    def build(self, target: str, _checkout: Path, _report: Any) -> str:
        if isinstance(self.failure, ImageError):
            raise self.failure
        self.built.append(target)
        return target

    def archive(self, built: str, path: Path) -> None:
        path.write_text(built)

    def push(self, built: str, registry: str) -> str:
        self.pushed.append(registry)
        return f"{registry}/{built}@sha256:{'c' * 64}"

    def load(self, archive: Path, _report: Any) -> None:
        if isinstance(self.failure, ClusterError):
            raise self.failure
        self.loaded.append(archive.read_text())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    for name in ("build", "archive", "push"):
        monkeypatch.setattr(build, name, getattr(found, name))
    monkeypatch.setattr(images, "cluster_at", lambda _context, _kubeconfig: found)
    return found


def test_without_a_registry_the_image_is_loaded_and_named_by_what_went_into_it(world: World) -> None:
    outputs = provider.create(INPUTS).outs or {}
    assert outputs["image"] == INPUTS["reference"]
    assert (world.built, world.loaded, world.pushed) == (["gateway"], ["gateway"], [])
    assert provider.diff("x", outputs, INPUTS).changes is False


def test_with_a_registry_the_pods_name_it_by_digest_and_the_cluster_is_not_touched(world: World) -> None:
    outputs = provider.create({**INPUTS, "registry": "registry.example.com/team"}).outs or {}
    assert outputs["image"] == f"registry.example.com/team/gateway@sha256:{'c' * 64}"
    assert (world.pushed, world.loaded) == (["registry.example.com/team"], [])


@pytest.mark.parametrize("changed", [{"reference": "localhost/assistant/gateway:2"}, {"context": "another"}])
def test_other_content_or_another_cluster_brings_it_there_again(world: World, changed: dict[str, str]) -> None:
    outputs = provider.create(INPUTS).outs or {}
    news = {**INPUTS, **changed}
    assert provider.diff("x", outputs, news).changes is True
    assert (provider.update("x", outputs, news).outs or {})["image"] == news["reference"]
    assert len(world.loaded) == 2


@pytest.mark.parametrize(
    ("nodes", "there"),
    [
        ([["localhost/assistant/gateway:1", "other"]], True),
        ([["other"]], False),
        ([["localhost/assistant/gateway:1"], ["other"]], False),
        ([["localhost/assistant/gateway:1"], []], True),  # a node that tells nothing of its images
        ([], False),
    ],
)
def test_refresh_sees_that_a_node_has_lost_the_image_and_the_next_up_loads_it_again(
    world: World, nodes: list[list[str]], there: bool
) -> None:
    created = provider.create(INPUTS).outs or {}
    world.nodes = nodes
    read = provider.read("x", created).outs or {}
    assert provider.diff("x", read, INPUTS).changes is (not there)
    assert read["image"] == INPUTS["reference"]


def test_what_is_in_a_registry_is_not_looked_for_on_nodes(world: World) -> None:
    created = provider.create({**INPUTS, "registry": "registry.example.com"}).outs or {}
    assert provider.read("x", created).outs == created


@pytest.mark.parametrize("failure", [ImageError("no engine: install podman"), ClusterError("set images.registry")])
def test_what_is_missing_is_said_without_a_traceback(world: World, failure: Exception) -> None:
    world.failure = failure
    with pytest.raises(DeploymentError, match=str(failure)):
        provider.create(INPUTS)


async def test_published_images_are_neither_built_nor_renamed() -> None:
    rendered = await registered(settings_of())
    assert not [item for item in rendered.registered if item.type.endswith("cluster:Image")]
    assert rendered.pods()["worker"]["spec"]["containers"][0]["image"] == IMAGES["gateway"]


@pytest.mark.parametrize(("device", "inference"), [("cpu", "inference-cpu"), ("cuda", "inference-gpu")])
async def test_what_is_not_published_is_built_and_known_by_its_content_before_it_is_there(device: str, inference: str) -> None:
    rendered = await registered(settings_of({"inference": {"device": device}}, published=False))
    built = {item.name: item.inputs for item in rendered.registered if item.type.endswith("cluster:Image")}
    assert set(built) == {"gateway", inference, "redis"}
    for target, inputs in built.items():
        assert inputs["reference"] == reference(target, images.CHECKOUT)
        assert inputs["context"] == CONNECTION.context
    assert rendered.pods()["inference"]["spec"]["containers"][0]["image"] == built[inference]["reference"]


async def test_an_external_redis_needs_no_image() -> None:
    config = {"redis": {"url": "redis://store.example.com:6379"}}
    rendered = await registered(settings_of(config, published=False))
    assert not [item for item in rendered.registered if item.name == "redis"]
