"""Good resources as the local target registers them, to be mutated; and the engine's encoding of properties."""

from __future__ import annotations

import copy
import datetime
import os
import subprocess
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from local_resources import URN, good_properties

from policies.resource import Resource
from policies.rules import cluster
from policies.secret_scanning import scan
from tools.pulumi.engine import locate
from tools.pulumi.environment import CHECKOUT, engine_environment

Make = Callable[..., Resource]


@pytest.fixture(autouse=True)
def of_that_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Support of a version of Kubernetes ends; what these tests say does not."""
    monkeypatch.setattr(cluster, "today", lambda: datetime.date(2026, 11, 25))


@pytest.fixture
def make() -> Make:
    """``make("redis", {"command": …})``: the good resource with some properties replaced, by dotted path; None removes."""

    def made(name: str, changes: Mapping[str, Any] | None = None, **options: Any) -> Resource:
        resource_type, properties = copy.deepcopy(good_properties()[name])
        for path, value in (changes or {}).items():
            *outer, last = path.split("/")
            target = properties
            for key in outer:
                target = target[key]
            if value is None:
                del target[last]
            else:
                target[last] = value
        urn = URN.format(type=resource_type, name=name)
        return Resource(urn=urn, type=resource_type, name=name, properties=properties, **options)

    return made


@pytest.fixture
def good(make: Make) -> list[Resource]:
    return [make(name) for name in good_properties()]


@pytest.fixture
def encode() -> Callable[[Mapping[str, Any]], Struct]:
    """JSON-like properties in the engine's encoding; signatures are written out by the test."""

    def encoded(properties: Mapping[str, Any]) -> Struct:
        return json_format.ParseDict(dict(properties), Struct())

    return encoded


@pytest.fixture(scope="session")
def canary() -> str:
    """A secret that must stand in no message."""
    value = "whsec_Q2FuYXJ5VGhhdE11c3ROZXZlckJlU2VlbjEyMzQ1Njc4"
    assert scan((), value)
    return value


@dataclass(frozen=True, kw_only=True)
class Project:
    """A stack of the real engine in a temporary folder, with a program of its own and this repository's pack."""

    folder: Path
    environment: Mapping[str, str]
    stack: str = "test"

    def program(self, source: str) -> None:
        (self.folder / "__main__.py").write_text(textwrap.dedent(source), encoding="utf-8")

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Standard output and error together in ``stdout``, as on a screen."""
        return subprocess.run(
            ["pulumi", *arguments, "--stack", self.stack, "--non-interactive"],
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=110,
            check=False,
        )

    def preview(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.pulumi("preview", "--policy-pack", str(CHECKOUT / "policies"), *arguments)

    def up(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.pulumi("up", "--yes", "--skip-preview", "--policy-pack", str(CHECKOUT / "policies"), *arguments)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    if locate(os.environ) is None:
        pytest.skip("the Pulumi CLI is not installed; `make environment` installs it")
    folder = tmp_path / "project"
    (folder / "state" / "pulumi").mkdir(parents=True)
    (folder / "state" / "passphrase").write_text("of this test alone")
    (folder / "Pulumi.yaml").write_text("name: trial\nruntime: python\n")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    environment = engine_environment(
        CHECKOUT, folder / "state", environment={**inherited, "PULUMI_HOME": str(tmp_path / "home")}
    )
    made = Project(folder=folder, environment=environment)
    done = made.pulumi("stack", "init")
    assert done.returncode == 0, done.stdout
    return made
