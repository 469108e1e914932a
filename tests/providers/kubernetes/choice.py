"""Which Kubernetes plugin a test's engine gets: Pulumi's own where this machine has it, else the stand-in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tools.pulumi import plugins

FOLDER = Path(__file__).resolve().parent
PERMISSION = "ASSISTANT_TEST_PROVIDERS"


def with_plugin(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` in which the engine finds a plugin. PATH goes before the engine's cache, so the stand-in is put there
    only where there is no other."""
    path = environment.get("PATH", os.defpath)
    others = os.pathsep.join(folder for folder in path.split(os.pathsep) if Path(folder) != FOLDER)
    without = {**environment, "PATH": others}
    if plugins.locate("kubernetes", plugins.version_of("kubernetes"), without):
        return without
    return {**environment, "PATH": os.pathsep.join([str(FOLDER), others]), PERMISSION: "1"}
