"""What podman must be told on a machine where its own defaults do not run: few open files allowed, or the old cgroups."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tools.cache import cache_root

WANTED = 1 << 20  # podman asks for so many open files and processes; more than a hard limit cannot be given
FILES, PROCESSES = 16_384, 32_768  # what is asked for instead; a build that asks for more processes is refused
OWN_CONFIGURATION = ("/etc/containers/containers.conf", "~/.config/containers/containers.conf")
NETAVARK_FOLDERS = ("/usr/lib/podman", "/usr/libexec/podman", "/usr/local/libexec/podman")


class Machine(NamedTuple):
    """``files`` and ``processes``: the hard limits; ``unified``: cgroup v2 alone."""

    files: int
    processes: int
    unified: bool
    runc: bool
    netavark: bool


def configuration(machine: Machine) -> str | None:
    """``containers.conf`` for this machine; None where podman's defaults serve."""
    limited = min(machine.files, machine.processes) < WANTED
    if not limited and machine.unified:
        return None
    lines = []
    if limited:
        files, processes = min(machine.files, FILES), min(machine.processes, PROCESSES)
        lines += ["[containers]", f'default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]']
    lines += ["[engine]", 'events_logger = "file"']
    if not machine.unified and machine.runc:
        lines.append('runtime = "runc"')  # crun refuses hybrid cgroups
    if machine.netavark:
        lines += ["[network]", 'network_backend = "netavark"']  # CNI's bridge has no names for containers
    return "\n".join(lines) + "\n"


def machine() -> Machine:
    def hard(which: int) -> int:
        limit = resource.getrlimit(which)[1]
        return WANTED if limit == resource.RLIM_INFINITY else limit

    return Machine(
        files=hard(resource.RLIMIT_NOFILE),
        processes=hard(resource.RLIMIT_NPROC),
        unified=Path("/sys/fs/cgroup/cgroup.controllers").exists(),
        runc=shutil.which("runc") is not None,
        netavark=any(Path(folder, "netavark").exists() for folder in NETAVARK_FOLDERS),
    )


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment to run podman in. A containers.conf of the user's own is left to decide alone."""
    given = dict(environ)
    if "CONTAINERS_CONF" in environ or any(Path(name).expanduser().exists() for name in OWN_CONFIGURATION):
        return given
    text = configuration(machine())
    if text is not None:
        path = cache_root(environ) / "images" / "containers.conf"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".containers-{os.getpid()}.conf")
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        given["CONTAINERS_CONF"] = str(path)
    return given
