"""A preview of an AWS stack where AWS itself cannot be asked: the real engine, program and policies, with the tests' stand-ins
for the plugins, on a copy of the stack's configuration and a state that is thrown away."""

from __future__ import annotations

import dataclasses
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.aws.means import DECLARED, STANDINS
from tools.pulumi.environment import with_folders
from tools.stack.engine import Engine

FOLDERS = ("infra", "policies")  # what the engine looks for in a project
PLUGINS = ("aws", "docker_build", "kubernetes")
# What the engine writes beside the settings, about the key that it encrypts with.
ENCRYPTION = re.compile(r"^(encryptionsalt|secretsprovider|encryptedkey):.*\n?", re.MULTILINE)
# What would lead to an account, or to a cluster, that the preview must not know of.
AMBIENT = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ROLE_ARN", "KUBECONFIG")


@contextmanager
def throwaway(engine: Engine) -> Iterator[Engine]:
    """``engine`` on a project folder that links to the checkout, with a backend and a passphrase of its own."""
    with tempfile.TemporaryDirectory(prefix="assistant-preview-") as name:
        folder = Path(name)
        (folder / "stacks").mkdir()
        (folder / "state").mkdir()
        shutil.copyfile(engine.checkout / "Pulumi.yaml", folder / "Pulumi.yaml")
        for linked in FOLDERS:
            (folder / linked).symlink_to(engine.checkout / linked, target_is_directory=True)
        given = engine.configuration if engine.configuration.exists() else engine.example
        if given.exists():
            (folder / "stacks" / f"Pulumi.{engine.stack}.yaml").write_text(settings_alone(given), encoding="utf-8")
        yield dataclasses.replace(engine, checkout=folder, environment=_isolated(engine.environment, folder))


def settings_alone(file: Path) -> str:
    return ENCRYPTION.sub("", file.read_text(encoding="utf-8"))


def on_standins(engine: Engine, checkout: Path) -> Engine:
    """``engine`` with the stand-ins of ``checkout`` in front of whatever plugins there are, and no credentials but theirs."""
    folders = [checkout / STANDINS / plugin for plugin in PLUGINS]
    environment = {name: value for name, value in engine.environment.items() if name not in AMBIENT}
    world = engine.checkout / "world.json"
    return dataclasses.replace(
        engine,
        environment={
            **environment,
            DECLARED: "1",
            "ASSISTANT_AWS_WORLD": str(world),
            "PATH": with_folders(environment["PATH"], folders),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "AWS_ACCESS_KEY_ID": "stand-in",
            "AWS_SECRET_ACCESS_KEY": "stand-in",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        },
    )


def _isolated(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in environment.items() if name != "PULUMI_CONFIG_PASSPHRASE_FILE"}
    own = {"PULUMI_BACKEND_URL": f"file://{folder / 'state'}", "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16)}
    return kept | own
