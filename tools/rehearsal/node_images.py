"""The images that the node runs: those that this checkout builds, under the names that a registry on AWS would give them, and a
placeholder under those of the controllers that only work on AWS."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.kubernetes import third_party_images as third_party
from tools.images import build
from tools.images.errors import ImageError
from tools.kubernetes import golang_build, images, packages
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.golang_build import GoProgram
from tools.kubernetes.processes import run
from tools.rehearsal.errors import RehearsalError
from tools.rehearsal.layout import CHECKOUT

TARGETS = ("gateway", "inference-cpu")
PLACEHOLDER = "localhost/assistant/rehearsal-placeholder-{program}:1"
MODULE = Path(__file__).with_name("placeholder")
USER = "65532:65532"  # nobody in particular, and not root
HOOK = """\
#!/bin/sh
# Run by the docker-build stand-in with an image's target and reference: the node gets the image under that name.
set -eu
{ctr} images tag --force "$(cat '{folder}'/"$1")" "$2"
echo "$2" >> '{folder}/names'
"""
Report = Callable[[str], None]


def placeholder_program() -> GoProgram:
    return GoProgram("rehearsal-placeholder", "1", MODULE, ("assistant-stack/tools/rehearsal/placeholder",))


def stood_in() -> dict[str, str]:
    """Name under which the node finds a placeholder -> the program that is started of it, where pods name one. containerd knows
    an image with a digest by that alone."""
    known = {
        **dict.fromkeys(third_party.CLUSTER_AUTOSCALER.values(), "cluster-autoscaler"),
        third_party.LOAD_BALANCER_CONTROLLER: "controller",
        third_party.DEVICE_PLUGIN: "nvidia-device-plugin",
    }
    return {by_digest(name): program for name, program in known.items()}


def by_digest(name: str) -> str:
    """``host/name:tag@sha256:…`` -> ``host/name@sha256:…``; without a digest as it is. Pure."""
    tagged, at, digest = name.partition("@")
    if not at:
        return name
    head, colon, tail = tagged.rpartition(":")
    return f"{head if colon and '/' not in tail else tagged}@{digest}"


@dataclass(frozen=True, kw_only=True)
class NodeImages:
    """``folder``: a file for each target, with the name that its image has on the node."""

    cluster: Cluster
    folder: Path

    @property
    def hook(self) -> Path:
        return self.folder / "hook"

    def prepare(self, report: Report) -> None:
        """Build and hand over what the node has not. Raises :class:`RehearsalError`."""
        if self.cluster.kind != "own":
            raise RehearsalError(
                f"a rehearsal needs the Kubernetes that `make cluster` brings up itself, and here is {self.cluster.context}: "
                "python -m tools.kubernetes up --tier node"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        there = set(self._ctr("images", "list", "--quiet").split())
        try:
            for target in TARGETS:
                built = build.build(target, CHECKOUT, report)
                if built.reference not in there:
                    report(f"handing {built.reference} to the node")
                    with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                        build.archive(built, Path(folder) / "image.tar")
                        self.cluster.load(Path(folder) / "image.tar", lambda _line: None)
                (self.folder / target).write_text(built.reference, encoding="ascii")
        except ImageError as error:
            raise RehearsalError(str(error)) from None
        self._placeholders(report, there)
        self.hook.write_text(HOOK.format(ctr=" ".join(self._command()), folder=self.folder), encoding="utf-8")
        self.hook.chmod(0o755)

    def forget(self) -> None:
        """The names that this rehearsal gave; the images themselves stay for the next."""
        named = self.folder / "names"
        names = set(named.read_text(encoding="ascii").split()) if named.exists() else set()
        if wanted := sorted({*names, *stood_in()} & set(self._ctr("images", "list", "--quiet").split())):
            self._ctr("images", "remove", *wanted)
        named.unlink(missing_ok=True)

    def _placeholders(self, report: Report, there: set[str]) -> None:
        for name, called in stood_in().items():
            image = PLACEHOLDER.format(program=called)
            if image not in there:
                built = golang_build.binaries(placeholder_program(), report)["placeholder"]
                with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                    program = shutil.copyfile(built, Path(folder) / called)
                    images.write_archive(Path(folder) / "image.tar", image, program, user=USER)
                    self.cluster.load(Path(folder) / "image.tar", lambda _line: None)
                there.add(image)
            self._ctr("images", "tag", "--force", image, name)

    def _command(self) -> list[str]:
        path = packages.search_path(os.environ)
        ctr = shutil.which("ctr", path=path)
        if ctr is None:
            raise RehearsalError("ctr, by which the node is given images, is not here: make cluster sets it up")
        return [ctr, "--address", str(self.cluster.layout.containerd_socket), "--namespace", "k8s.io"]

    def _ctr(self, *arguments: str) -> str:
        done = run([*self._command(), *arguments])
        if done.returncode:
            raise RehearsalError(f"`ctr {' '.join(arguments[:2])}` failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout
