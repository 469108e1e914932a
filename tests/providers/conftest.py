"""A namespace of the test's own on a real API server, and a project of its own for the real engine."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `from kubernetes.api import Api`, also for a single file's run

from kubernetes.api import Api
from kubernetes.choice import with_plugin
from kubernetes.kubeconfig import load
from kubernetes.naming import Reference
from kubernetes.objects import Objects

from tools.kubernetes import cluster
from tools.pulumi.engine import locate
from tools.pulumi.environment import CHECKOUT, engine_environment

LIMIT = 110.0  # seconds for one command of the engine


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    """Of the cluster that ``make cluster`` has made: nobody else's is touched."""
    made = cluster.current(CHECKOUT)
    if made is None or not made.made or made.kubeconfig is None:
        pytest.skip("there is no cluster of `make cluster`")
    return made.kubeconfig


@pytest.fixture(scope="session")
def has_node(kubeconfig: Path) -> bool:
    made = cluster.current(CHECKOUT)
    return made is not None and made.kind != "own-api"


@pytest.fixture(scope="session")
def api(kubeconfig: Path) -> Api:
    return Api(load(str(kubeconfig), None, os.environ))


@pytest.fixture(scope="session")
def objects(api: Api, namespace: str) -> Objects:
    """What the provider does, without the engine before it."""
    return Objects(api, namespace, False, threading.Event(), lambda line: None)


@pytest.fixture(scope="session")
def namespace(api: Api) -> Iterator[str]:
    """The tests' own; pods in it run one at a time."""
    name = f"stand-in-{secrets.token_hex(4)}"
    metadata = {"name": name}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, manager="tests")
    yield name
    api.delete(Reference(api_version="v1", kind="Namespace", namespace="", name=name))


@dataclass(frozen=True, kw_only=True)
class Project:
    folder: Path
    environment: Mapping[str, str]

    def program(self, source: str) -> None:
        (self.folder / "__main__.py").write_text(textwrap.dedent(source), encoding="utf-8")

    def pulumi(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Standard output and error together in ``stdout``, as on a screen."""
        return subprocess.run(
            ["pulumi", *arguments, "--stack", "test", "--non-interactive"],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def up(self) -> subprocess.CompletedProcess[str]:
        return self.pulumi("up", "--yes", "--skip-preview")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Without a kubeconfig: a test that wants a cluster names it."""
    if locate(os.environ) is None:
        pytest.skip("the Pulumi CLI is not installed; `make environment` installs it")
    state = tmp_path / "state"
    (state / "pulumi").mkdir(parents=True)
    (state / "passphrase").write_text("of this test alone")
    (tmp_path / "Pulumi.yaml").write_text("name: trial\nruntime: python\n")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "KUBE"))}
    given = {**inherited, "PULUMI_HOME": str(tmp_path / "home"), "KUBECONFIG": str(tmp_path / "none")}
    environment = with_plugin(engine_environment(CHECKOUT, state, environment=given))
    made = Project(folder=tmp_path, environment=environment)
    done = made.pulumi("stack", "init")
    assert done.returncode == 0, done.stdout
    return made
