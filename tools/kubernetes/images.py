"""An image of one static program, written without a container engine: no registry is needed for the cluster's own pods."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = "1970-01-01T00:00:00Z"


def write_archive(target: Path, name: str, program: Path, *, user: str = "0") -> None:
    """A docker-archive of the image `name`, which holds `program` alone and runs it. `user`: a number, or number:number."""
    layer = _layer(program)
    digest = hashlib.sha256(layer).hexdigest()
    machine = os.uname().machine
    configuration = json.dumps(
        {
            "architecture": MACHINES.get(machine, machine),
            "os": "linux",
            "created": EPOCH,
            "config": {"Entrypoint": [f"/{program.name}"], "User": user, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": EPOCH, "created_by": "tools/kubernetes/images.py"}],
        }
    ).encode()
    configuration_name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = json.dumps([{"Config": configuration_name, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(target, "w") as archive:
        for path, content in ((configuration_name, configuration), (f"{digest}/layer.tar", layer), ("manifest.json", manifest)):
            _add(archive, path, content, 0o644)


def _layer(program: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        _add(layer, program.name, program.read_bytes(), 0o755)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(path)
    member.size, member.mode = len(content), mode  # owner root, time zero: the same program gives the same image
    archive.addfile(member, io.BytesIO(content))
