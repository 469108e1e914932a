"""app/compose.yaml as a person starts it, with the images of this checkout, ports and secrets of the test's own."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.models import default, sources
from app.models.manifest import Thresholds
from app.models.recipe import Recipe
from app.models.store import Store, default_root
from tools.compose import credentials
from tools.compose.__main__ import VARIABLES, await_ready
from tools.compose.project import Project
from tools.images import build, engine, inputs
from tools.images import secrets as build_secrets
from tools.images.engine import Engine

CHECKOUT = Path(__file__).resolve().parents[2]
USER_ID = 10001


@dataclass(frozen=True)
class Running:
    project: Project
    https_port: int
    http_port: int
    secrets: Path

    @property
    def api_key(self) -> str:
        return (self.secrets / "gateway_api_key").read_text(encoding="utf-8")

    def inside(self, service: str, *command: str) -> str:
        """What ``command`` prints in the service's container."""
        return self.project.engine.output("exec", self.project.container(service), *command)


@pytest.fixture(scope="session")
def container_engine() -> Engine:
    return engine.find()


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The images by their targets, built where the engine does not have them."""
    return {target: build.build(target, CHECKOUT, print).reference for target in inputs.DEFAULT_TARGETS}


@pytest.fixture(scope="session")
def running(container_engine: Engine, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("compose")
    credentials.ensure(folder / "secrets")
    https_port, http_port = _free_ports(2)
    bundle = build_secrets.bundle(os.environ)
    values = {VARIABLES[target]: name for target, name in images.items()}
    values |= {"SECRETS_DIRECTORY": str(folder / "secrets"), "HTTPS_PORT": str(https_port), "HTTP_PORT": str(http_port)}
    values |= {"EXTRA_CA": str(bundle)} if bundle else {}
    credentials.ensure_environment(folder / ".env", values)
    name = f"assistant-test-{secrets.token_hex(4)}"
    project = Project(container_engine, CHECKOUT, name, folder / ".env", bundle is not None, folder / "compose.log")
    try:
        _fill(container_engine, f"{name}_model-data", images["inference-cpu"])
        project.up(print)
        await_ready(https_port, 120)
        yield Running(project, https_port, http_port, folder / "secrets")
    finally:
        project.down(volumes=True)
    assert left_of(project) == []


def left_of(project: Project) -> list[str]:
    """Containers, volumes and networks that bear the project's name."""
    lists = (["ps", "--all", "--format", "{{.Names}}"], ["volume", "ls", "--quiet"], ["network", "ls", "--format", "{{.Name}}"])
    return [name for words in lists for name in project.engine.output(*words).split() if name.startswith(project.name)]


def _fill(container_engine: Engine, volume: str, image: str) -> None:
    """Put the default model of this machine's store into the volume, if there is one: the one-shot then only looks it through.

    Where there is none, the one-shot fetches and converts it, as it does for a person.
    """
    recipe = Recipe(source=sources.parse(default.SOURCE, None), precision="int8", thresholds=Thresholds(**_bounds()))
    store = default_root(os.environ)
    found = Store(store).find(recipe.key)
    if found is None or os.environ.get("ASSISTANT_TEST_FETCH"):
        return
    # As compose itself would: it removes what bears its labels.
    project, _, key = volume.partition("_")
    labels = {"com.docker.compose.project": project, "io.podman.compose.project": project, "com.docker.compose.volume": key}
    options = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
    container_engine.output("volume", "create", *options, volume)
    entry, link = found[0].name, f".recipes/{recipe.key}"
    script = f"mkdir -p /models/.recipes && cp -a /store/{entry} /models/ && cp -a /store/{link} /models/.recipes/"
    mounts = ["--volume", f"{store}:/store:ro", "--volume", f"{volume}:/models"]
    command = ["sh", "-c", f"{script} && chown -R {USER_ID}:{USER_ID} /models"]
    container_engine.output("run", "--rm", "--user", "0", "--network", "none", *mounts, image, *command)


def _bounds() -> dict[str, float]:
    return {"max_kl": default.MAX_KL, "min_top1": default.MIN_TOP1}


def _free_ports(count: int) -> list[int]:
    with_sockets = [socket.socket() for _ in range(count)]
    try:
        for probe in with_sockets:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in with_sockets]
    finally:
        for probe in with_sockets:
            probe.close()
