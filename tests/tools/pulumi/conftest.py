"""A real engine with a backend, a passphrase and a project of the test's own."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.pulumi.engine import Engine, locate
from tools.pulumi.environment import CHECKOUT, engine_environment

LIMIT = 60.0  # seconds for one command of the engine; they take two


@dataclass(frozen=True, kw_only=True)
class Project:
    """A Pulumi project in a temporary folder, its program below it in `program/`."""

    folder: Path
    environment: Mapping[str, str]

    def program(self, source: str) -> None:
        (self.folder / "program" / "__main__.py").write_text(textwrap.dedent(source), encoding="utf-8")

    def policy_pack(self, source: str) -> Path:
        pack = self.folder / "pack"
        pack.mkdir()
        (pack / "PulumiPolicy.yaml").write_text("name: pack\nruntime: python\nversion: 0.0.1\n")
        (pack / "__main__.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return pack

    def pulumi(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the CLI; standard output and error together in `stdout`, as on a screen."""
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

    def up(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.pulumi("up", "--yes", "--skip-preview", *arguments)


@pytest.fixture(scope="session")
def pulumi_cli() -> Engine:
    """The engine of this machine. A test does not build one: that takes minutes."""
    engine = locate(os.environ)
    if engine is None:
        pytest.skip("the Pulumi CLI is not installed; `make environment` installs it")
    return engine


@pytest.fixture
def project(pulumi_cli: Engine, tmp_path: Path) -> Project:
    """A stack `test` in a folder whose name has a space and is not ASCII, as a checkout's may."""
    folder = tmp_path / "a projekt 项目"
    (folder / "program").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text("name: trial\nmain: program/\nruntime: python\n")
    state = folder / "state"
    (state / "pulumi").mkdir(parents=True)
    (state / "passphrase").write_text("of this test alone")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    environment = engine_environment(CHECKOUT, state, environment={**inherited, "PULUMI_HOME": str(tmp_path / "home")})
    made = Project(folder=folder, environment=environment)
    done = made.pulumi("stack", "init")
    assert done.returncode == 0, done.stdout
    return made
