"""The container engine: docker where one runs, else podman."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tools.images import podman
from tools.images.errors import ImageError
from tools.images.process import call

Kind = Literal["docker", "podman"]
PROBES: dict[Kind, tuple[list[str], ...]] = {"docker": (["info"], ["buildx", "version"]), "podman": (["info"],)}
INSTALL = "Start Docker (with buildx), or install podman 4 or newer with this system's package manager, then try again."


@dataclass(frozen=True)
class Engine:
    kind: Kind
    environment: Mapping[str, str] = field(repr=False)

    def output(self, *arguments: str) -> str:
        """What the command prints. Raises :class:`ImageError` with its last lines."""
        return call([self.kind, *arguments], self.environment)

    def said(self, *arguments: str) -> str:
        """All that the command says, on either stream, whether it fails or not."""
        done = subprocess.run(
            [self.kind, *arguments],
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return done.stdout

    def exists(self, reference: str) -> bool:
        return self.inspect(reference) is not None

    def inspect(self, reference: str) -> dict[str, Any] | None:
        """What the engine knows of a local image; None where there is none."""
        done = subprocess.run(
            [self.kind, "image", "inspect", reference], env=dict(self.environment), capture_output=True, text=True, check=False
        )
        found = json.loads(done.stdout or "[]") if done.returncode == 0 else []
        return dict(found[0]) if found else None


def find(environ: Mapping[str, str] = os.environ) -> Engine:
    """The engine that runs here. Raises :class:`ImageError` where none does, with what each said."""
    refusals = []
    for kind, probes in PROBES.items():
        environment = podman.environment(environ) if kind == "podman" else dict(environ)
        refusal = next(filter(None, (_refusal([kind, *probe], environment) for probe in probes)), None)
        if refusal is None:
            return Engine(kind, environment)
        refusals.append(f"  {refusal}")
    raise ImageError("\n".join(["no container engine runs here:", *refusals, INSTALL]))


def _refusal(command: list[str], environment: Mapping[str, str]) -> str | None:
    if shutil.which(command[0], path=environment.get("PATH")) is None:
        return f"{command[0]}: not on PATH"
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    last = (done.stderr or done.stdout).strip().splitlines()[-1:]
    return f"{' '.join(command)}: {last[0] if last else f'exit status {done.returncode}'}"


def isolation(engine: Engine, image: str) -> list[str]:
    """Options for podman's build where it cannot start containers (no cgroups, no namespaces): a chroot does then."""
    if engine.kind == "docker":
        return []
    command = ["podman", "run", "--rm", "--network", "none", image, "true"]
    done = subprocess.run(command, env=dict(engine.environment), capture_output=True, check=False)
    return ["--isolation", "chroot"] if done.returncode else []
