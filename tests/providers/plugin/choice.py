"""Which plugin a test's engine gets: Pulumi's own where this machine has it, else the stand-in of a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tools.pulumi import plugins

PERMISSION = "ASSISTANT_TEST_PROVIDERS"
STAND_INS = {"kubernetes": "kubernetes", "aws": "aws", "docker-build": "docker_build"}  # plugin: its folder beside this one


def folder_of(provider: str) -> Path:
    return Path(__file__).resolve().parents[1] / STAND_INS[provider]


def with_plugin(environment: Mapping[str, str], provider: str) -> dict[str, str]:
    """``environment`` in which the engine finds a plugin. PATH goes before the engine's cache, so the stand-in is put there
    only where there is no other."""
    folder = folder_of(provider)
    path = environment.get("PATH", os.defpath)
    others = os.pathsep.join(entry for entry in path.split(os.pathsep) if Path(entry) != folder)
    without = {**environment, "PATH": others}
    if plugins.locate(provider, plugins.version_of(provider.replace("-", "_")), without):
        return without
    return {**environment, "PATH": os.pathsep.join([str(folder), others]), PERMISSION: "1"}
