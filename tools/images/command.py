"""The command line that builds an image, for docker and for podman. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.images.engine import Kind
from tools.images.inputs import DOCKERFILE, IGNORE_FILE


@dataclass(frozen=True, kw_only=True)
class Build:
    """``secrets``: files by their ids; ``proxies``: names of variables, whose values the engine takes from the environment;
    ``epoch``: the time that files and image are stamped with, seconds since 1970."""

    target: str
    name: str
    arguments: Mapping[str, str]
    labels: Mapping[str, str]
    epoch: int | None
    secrets: Mapping[str, Path]
    proxies: Sequence[str]
    fresh: bool
    isolation: Sequence[str] = ()


def command(kind: Kind, build: Build) -> list[str]:
    options = ["--file", DOCKERFILE, "--target", build.target, "--tag", build.name]
    for key, value in {**build.arguments, **({"SOURCE_DATE_EPOCH": str(build.epoch)} if build.epoch else {})}.items():
        options += ["--build-arg", f"{key}={value}"]
    for key in build.proxies:
        options += ["--build-arg", key]  # not the value: it may hold a password, and a command line can be read by all
    for key, value in build.labels.items():
        options += ["--label", f"{key}={value}"]
    for key, path in build.secrets.items():
        options += ["--secret", f"id={key},src={path}"]
    if build.fresh:
        options.append("--no-cache")
    if kind == "docker":
        output = ["--progress", "plain", "--output", "type=docker,rewrite-timestamp=true"]
        return ["docker", "buildx", "build", *output, *options, "."]
    stamp = ["--timestamp", str(build.epoch)] if build.epoch else []
    own = ["--pull=never", "--identity-label=false", "--ignorefile", IGNORE_FILE, *stamp, *build.isolation]
    return ["podman", "build", *own, *options, "."]
