"""A checkout of the test's own with a cluster's stack in it, and kubeconfigs that lead to nowhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.stack.engine import Engine

MakeEngine = Callable[..., Engine]


@pytest.fixture
def kubectl() -> str:
    found = shutil.which("kubectl")
    if found is None:
        pytest.skip("kubectl is not on PATH")
    return found


@pytest.fixture
def make_engine(tmp_path: Path) -> MakeEngine:
    """A stack of target cluster with the settings given; ``environment`` in place of the user's."""

    def make(environment: dict[str, str] | None = None, **settings: Any) -> Engine:
        (tmp_path / "stacks").mkdir(exist_ok=True)
        config = {"assistant:target": "cluster"} | {f"assistant:{key}": value for key, value in settings.items()}
        (tmp_path / "stacks" / "Pulumi.trial.yaml").write_text(yaml.safe_dump({"config": config}))
        own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        return Engine(checkout=tmp_path, stack="trial", environment=own | (environment or {}))

    return make


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Callable[..., Path]:
    """A kubeconfig with one context a server, the first of them current."""

    def write(path: Path | None = None, current: bool = True, **servers: str) -> Path:
        file = path or tmp_path / "kubeconfig"
        file.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server}} for name, server in servers.items()],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in servers],
            "users": [{"name": "me", "user": {"token": "of-this-test"}}],
            "current-context": next(iter(servers), "") if current else "",
        }
        file.write_text(json.dumps(document))
        return file

    return write


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, str], str]:
    """Writes a shell script of this name and gives a PATH on which it comes first."""

    def write(name: str, text: str) -> str:
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return f"{file.parent}:/usr/bin:/bin"

    return write
