"""What goes into each image, and the name that follows from it. Pure: reads the checkout, asks no engine."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from tools.images.errors import ImageError

REPOSITORY = "localhost/assistant"
DOCKERFILE = "app/Dockerfile"
IGNORE_FILE = "app/Dockerfile.dockerignore"
TAG_DIGITS = 16
_COMMON = (
    DOCKERFILE,
    IGNORE_FILE,
    "tools/images/install.sh",
    "tools/images/debian.py",
    "requirements/pip.lock",
    "requirements/sbom.lock",
)
_NOT_THE_APPLICATION = re.compile(
    r"(^|/)(__pycache__|\..*)(/|$)|\.pyc$|^app/(Dockerfile|compose)[^/]*$|^app/(nginx\.conf|[^/]*\.sh)$"
)


class Target(NamedTuple):
    """``files``: what the image takes besides the common files; ``application``: whether ``app/`` goes in."""

    files: tuple[str, ...]
    application: bool


TARGETS: dict[str, Target] = {
    "gateway": Target(("requirements/gateway.lock",), application=True),
    "transport": Target(("requirements/transport.lock",), application=True),
    "inference-cpu": Target(("requirements/inference-cpu.lock",), application=True),
    "inference-gpu": Target(("requirements/inference-gpu.lock",), application=True),
    "redis": Target((), application=False),
    "reverse-proxy": Target(("app/nginx.conf", "app/nginx.sh", "app/certificate.sh"), application=False),
}
# Without the GPU's, which is several gigabytes, and the transports': they are built where they are asked for by name.
DEFAULT_TARGETS = ("gateway", "inference-cpu", "redis", "reverse-proxy")


class Base(NamedTuple):
    name: str
    digest: str

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.digest}"


def files(target: str, checkout: Path) -> list[str]:
    """Paths, relative to the checkout, of all that decides what is in the image."""
    if target not in TARGETS:
        raise ImageError(f"there is no image {target!r}; the images are {', '.join(TARGETS)}")
    wanted = TARGETS[target]
    names = [*_COMMON, *wanted.files]
    if wanted.application:
        found = (path.relative_to(checkout).as_posix() for path in (checkout / "app").rglob("*") if path.is_file())
        names += [name for name in found if not _NOT_THE_APPLICATION.search(name)]
    return sorted(names)


def reference(target: str, checkout: Path) -> str:
    """The image's name. The tag stands for the content of its inputs, so a tag never gets another content."""
    digest = hashlib.sha256(target.encode())
    for name in files(target, checkout):
        content = (checkout / name).read_bytes()
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return f"{REPOSITORY}/{target}:{digest.hexdigest()[:TAG_DIGITS]}"


def pinned_base(checkout: Path) -> Base:
    """The base that the Dockerfile names."""
    text = (checkout / DOCKERFILE).read_text(encoding="utf-8")
    name, digest = (re.search(rf"^ARG {word}=(\S+)$", text, re.MULTILINE) for word in ("BASE_NAME", "BASE_DIGEST"))
    if name is None or digest is None:
        raise ImageError(f"{DOCKERFILE} names no BASE_NAME and BASE_DIGEST")
    return Base(name[1], digest[1])
