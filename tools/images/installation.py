"""podman from the system's packages, where no container engine runs: for test machines, and only when asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from tools.cache import Report
from tools.images import engine
from tools.images.engine import Engine
from tools.images.errors import ImageError
from tools.images.process import call

# netavark with aardvark-dns: containers find each other by name. runc: Debian's other runtime, crun, refuses hybrid cgroups.
PACKAGES = ("podman", "runc", "netavark", "aardvark-dns", "iptables")


def ensure(environ: Mapping[str, str], report: Report) -> Engine:
    """The engine that runs here, or podman, installed by apt-get. Raises :class:`ImageError` where neither is to be had."""
    try:
        return engine.find(environ)
    except ImageError as error:
        if os.geteuid() != 0 or shutil.which("apt-get", path=environ.get("PATH")) is None:
            raise ImageError(f"{error}\nInstalling it for you needs root and apt-get.") from None
    report(f"no container engine runs here: installing {', '.join(PACKAGES)} with apt-get")
    quiet = {**environ, "DEBIAN_FRONTEND": "noninteractive"}
    call(["apt-get", "update", "-qq"], quiet)
    call(["apt-get", "install", "--yes", "-qq", "--no-install-recommends", *PACKAGES], quiet)
    return engine.find(environ)
