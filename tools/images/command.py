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


def command(kind: Kind, build: Build, written_id: Path) -> list[str]:
    """The image's id is written to ``written_id``. With podman it has neither name nor labels yet: see :func:`naming`."""
    options = ["--file", DOCKERFILE, "--target", build.target, "--iidfile", str(written_id)]
    for key, value in {**build.arguments, **({"SOURCE_DATE_EPOCH": str(build.epoch)} if build.epoch else {})}.items():
        options += ["--build-arg", f"{key}={value}"]
    for key in build.proxies:
        options += ["--build-arg", key]  # not the value: it may hold a password, and a command line can be read by all
    for key, path in build.secrets.items():
        options += ["--secret", f"id={key},src={path}"]
    if build.fresh:
        options.append("--no-cache")
    if kind == "docker":
        for key, value in build.labels.items():
            options += ["--label", f"{key}={value}"]
        output = ["--progress", "plain", "--tag", build.name, "--output", "type=docker"]
        return ["docker", "buildx", "build", *output, *options, "."]
    own = ["--pull=never", "--ignorefile", IGNORE_FILE, *_stamp(build), *build.isolation]
    return ["podman", "build", *own, *options, "."]


def naming(build: Build, folder: Path) -> list[str]:
    """For podman: gives the image its name and its labels; ``folder`` holds :func:`naming_file` as ``Dockerfile``.

    A step of its own, since podman's layer cache returns an image with the labels that it had once, whatever is asked for.
    """
    return ["podman", "build", "--pull=never", "--no-cache", *_stamp(build), "--tag", build.name, str(folder)]


def naming_file(build: Build, image_id: str) -> str:
    return "".join([f"FROM {image_id}\n", *(f'LABEL {key}="{value}"\n' for key, value in build.labels.items())])


def _stamp(build: Build) -> list[str]:
    return ["--identity-label=false", *(["--timestamp", str(build.epoch)] if build.epoch else [])]
