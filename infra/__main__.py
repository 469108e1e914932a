"""The Pulumi program: settings -> target -> outputs."""

from __future__ import annotations

import json
import os

import pulumi

from infra.local.provider import LocalError
from infra.settings_reader import SettingsMistakes, settings_from
from infra.targets import local

# "The message has been shown": pulumi-language-python-exec gives it this meaning, and the engine then adds none of its own.
MESSAGE_SHOWN = 32


def main() -> None:
    """Ends with a message and no traceback where the configuration or the machine is not as it must be."""
    # pulumi.Config cannot list keys, so a misspelt one would pass unseen: the engine's own form is read instead.
    config: dict[str, str] = json.loads(os.environ.get("PULUMI_CONFIG", "{}"))
    secret_keys: list[str] = json.loads(os.environ.get("PULUMI_CONFIG_SECRET_KEYS", "[]"))
    targets = {"local": local.deploy}
    try:
        settings = settings_from(config, pulumi.get_stack(), frozenset(secret_keys))
        targets[settings.target](settings).export()
    except (SettingsMistakes, LocalError) as error:
        pulumi.log.error(str(error))
        os._exit(MESSAGE_SHOWN)  # nothing is registered yet; an orderly exit would warn of the stack's own unfinished call


main()
