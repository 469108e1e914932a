"""The Pulumi program: settings -> target -> outputs."""

from __future__ import annotations

import gc
import importlib
import json
import os

import pulumi

from infra.errors import DeploymentError
from infra.outputs import Outputs
from infra.settings import Settings
from infra.settings_reader import SettingsMistakes, settings_from

# "The message has been shown": pulumi-language-python-exec gives it this meaning, and the engine then adds none of its own.
MESSAGE_SHOWN = 32


def main() -> None:
    """Ends with a message and no traceback where the configuration, the machine or the cluster is not as it must be."""
    # The program lives for seconds. The collector would walk the SDK's classes and outputs again and again, a third of the
    # program's time on AWS, and finds 3 MB in 250.
    gc.disable()
    # pulumi.Config cannot list keys, so a misspelt one would pass unseen: the engine's own form is read instead.
    config: dict[str, str] = json.loads(os.environ.get("PULUMI_CONFIG", "{}"))
    secret_keys: list[str] = json.loads(os.environ.get("PULUMI_CONFIG_SECRET_KEYS", "[]"))
    try:
        deploy(settings_from(config, pulumi.get_stack(), frozenset(secret_keys))).export()
    except (SettingsMistakes, DeploymentError) as error:
        pulumi.log.error(str(error))
        os._exit(MESSAGE_SHOWN)  # nothing is registered yet; an orderly exit would warn of the stack's own unfinished call


def deploy(settings: Settings) -> Outputs:
    """Only the target's own module is imported: the SDK of another provider takes seconds, and need not be installed.

    Raises :class:`DeploymentError`, also for an update with a model that is not pinned: tomorrow it might be another one.
    """
    if not settings.model.is_pinned and not pulumi.runtime.is_dry_run():
        raise DeploymentError(
            f"The model {settings.model.source} is not pinned to a revision and a digest. Nothing was changed. "
            f"Pin it: make model-pin STACK={pulumi.get_stack()}"
        )
    target = importlib.import_module(f"infra.targets.{settings.target}")
    outputs: Outputs = target.deploy(settings)
    return outputs


main()
