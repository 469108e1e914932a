"""``pulumi-resource-docker-build <engine address>``: started by the engine."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest's `pythonpath` does: tests/ holds no packages

from plugin.serving import serve

from docker_build.provider import create_servicer

if __name__ == "__main__":
    sys.exit(serve("docker-build", Path(__file__).resolve().parent, create_servicer, sys.argv[1:]))
