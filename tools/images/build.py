"""Builds the images, reuses those that exist, and hands them on: into an archive, or into a registry."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tools.cache import Report, cache_root, exclusive
from tools.images import base, engine, inputs, secrets
from tools.images.command import Build, command, naming, naming_file
from tools.images.engine import Engine
from tools.images.errors import ImageError
from tools.images.inputs import pinned_base
from tools.images.process import follow
from tools.images.provenance import provenance

STEP = re.compile(r"^\[(\d+)/(\d+)\] STEP|^#\d+ \[([\w-]+) +(\d+)/(\d+)\]")
SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class Built:
    """``digest``: of the image's configuration, ``sha256:…``; ``size``: uncompressed, bytes."""

    target: str
    reference: str
    digest: str
    size: int


def reference(target: str, checkout: Path) -> str:
    """The name that :func:`build` gives the image: see :func:`tools.images.inputs.reference`."""
    return inputs.reference(target, checkout)


def build(
    target: str, checkout: Path, report: Report, environ: Mapping[str, str] = os.environ, *, fresh: bool = False
) -> Built:
    """The image of ``target``, built unless the engine has it. Raises :class:`ImageError`.

    ``fresh``: build it all the same and from the ground, for Debian's newest packages.
    """
    name = reference(target, checkout)
    container_engine = engine.find(environ)
    if not fresh and (found := _built(container_engine, target, name)):
        return found
    cache = cache_root(environ) / "images"
    with exclusive(cache, report):
        if not fresh and (found := _built(container_engine, target, name)):
            return found
        started = time.monotonic()
        pinned = pinned_base(checkout)
        arguments = base.ensure(container_engine, pinned, environ, report)
        origin = provenance(checkout, inputs.files(target, checkout))
        report(f"building {target} with {container_engine.kind}")
        log = cache / "logs" / f"{target}.log"
        with secrets.secrets(environ) as given:
            wanted = Build(
                target=target,
                name=name,
                arguments=arguments,
                labels=origin.labels,
                epoch=origin.seconds,
                secrets=given,
                proxies=secrets.proxies(environ),
                fresh=fresh,
                isolation=engine.isolation(container_engine, arguments.get("BASE", pinned.reference)),
            )
            _run(container_engine, wanted, checkout, log, _Progress(target, report))
    done = _built(container_engine, target, name)
    if done is None:
        raise ImageError(f"{name} was built, but {container_engine.kind} does not have it; the log: {log}")
    report(f"built {name} in {time.monotonic() - started:.0f} s, {done.size / 1e6:.0f} MB")
    return done


def archive(built: Built, path: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Write the image to ``path`` as a docker-archive tar, which docker, podman and containerd read."""
    container_engine = engine.find(environ)
    path.unlink(missing_ok=True)  # podman refuses to write over an archive
    form = ["--format", "docker-archive"] if container_engine.kind == "podman" else []
    container_engine.output("save", *form, "--output", str(path), built.reference)


def push(built: Built, registry: str, environ: Mapping[str, str] = os.environ) -> str:
    """Push the image to ``registry`` (host[:port][/path]); its name there by digest, which cannot move."""
    container_engine = engine.find(environ)
    tag = built.reference.rpartition(":")[2]
    name = f"{registry.rstrip('/')}/{built.target}"
    container_engine.output("tag", built.reference, f"{name}:{tag}")
    if container_engine.kind == "podman":
        with tempfile.NamedTemporaryFile() as written:
            plain = ["--tls-verify=false"] if urlsplit(f"//{registry}").hostname in ("localhost", "127.0.0.1", "::1") else []
            container_engine.output("push", *plain, "--digestfile", written.name, f"{name}:{tag}")
            return f"{name}@{Path(written.name).read_text(encoding='ascii').strip()}"
    container_engine.output("push", "--quiet", f"{name}:{tag}")
    digests = (container_engine.inspect(f"{name}:{tag}") or {}).get("RepoDigests", [])
    for digest in digests:
        if str(digest).startswith(f"{name}@"):
            return str(digest)
    raise ImageError(f"{name}:{tag} was pushed, but the engine does not say under which digest")


def _built(container_engine: Engine, target: str, name: str) -> Built | None:
    found = container_engine.inspect(name)
    if found is None:
        return None
    digest = str(found["Id"])
    return Built(target, name, digest if digest.startswith("sha256:") else f"sha256:{digest}", int(found["Size"]))


def _run(container_engine: Engine, wanted: Build, checkout: Path, log: Path, watch: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "id"
        line = command(container_engine.kind, wanted, written)
        follow(line, container_engine.environment, log, watch, folder=checkout)
        if container_engine.kind == "podman":
            text = naming_file(wanted, written.read_text(encoding="ascii").strip())
            written.with_name("Dockerfile").write_text(text, encoding="utf-8")
            container_engine.output(*naming(wanted, Path(folder))[1:])


class _Progress:
    """Says now and then at which of how many steps the build is."""

    def __init__(self, target: str, report: Report) -> None:
        self._target, self._report, self._at = target, report, 0.0

    def __call__(self, line: str) -> None:
        found = STEP.match(line)
        if found and time.monotonic() - self._at >= SECONDS_BETWEEN_LINES:
            self._at = time.monotonic()
            where = f"stage {found[1]} of {found[2]}" if found[1] else f"{found[3]}, step {found[4]} of {found[5]}"
            self._report(f"building {self._target}: {where}")
