"""What a test wants to happen when an image would be built: a command of its own, which gets the target and the reference."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

VARIABLE = "ASSISTANT_DOCKER_BUILD_HOOK"
LAST_LINES = 15


class HookError(Exception):
    """The command failed; the message has its last lines."""


def run(outputs: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """``$ASSISTANT_DOCKER_BUILD_HOOK <target> <repository@sha256:…>``: a program, to which nothing is added. Without the
    variable nothing happens."""
    program = environ.get(VARIABLE)
    if not program:
        return
    arguments = [str(outputs.get("target") or ""), str(outputs["ref"])]
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        said = "\n".join(done.stdout.strip().splitlines()[-LAST_LINES:])
        raise HookError(f"{program} {' '.join(arguments)} ended with {done.returncode}:\n{said}")
