"""The Pulumi program: settings -> target -> outputs."""

from __future__ import annotations

import json
import os

import pulumi

from infra.local.provider import LocalError
from infra.settings_reader import SettingsMistakes, settings_from
from infra.targets import local


def main() -> None:
    """Raises :class:`pulumi.RunError`, which ends the program with its message and no traceback."""
    # pulumi.Config cannot list keys, so a misspelt one would pass unseen: the engine's own form is read instead.
    config: dict[str, str] = json.loads(os.environ.get("PULUMI_CONFIG", "{}"))
    secret_keys: list[str] = json.loads(os.environ.get("PULUMI_CONFIG_SECRET_KEYS", "[]"))
    try:
        settings = settings_from(config, pulumi.get_stack(), frozenset(secret_keys))
    except SettingsMistakes as mistakes:
        raise pulumi.RunError(str(mistakes)) from None
    targets = {"local": local.deploy}
    try:
        outputs = targets[settings.target](settings)
    except LocalError as error:
        raise pulumi.RunError(str(error)) from None
    outputs.export()


main()
