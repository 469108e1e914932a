"""Which docker-build plugin a test's engine gets: Pulumi's own where this machine has it, else the stand-in."""

from __future__ import annotations

from collections.abc import Mapping

from plugin import choice

FOLDER = choice.folder_of("docker-build")
PERMISSION = choice.PERMISSION


def with_plugin(environment: Mapping[str, str]) -> dict[str, str]:
    return choice.with_plugin(environment, "docker-build")
