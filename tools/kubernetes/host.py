"""What this machine can do, and what follows: whether pods can run here, or an API server alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Tier = Literal["node", "api"]
TIERS: tuple[Tier, ...] = ("node", "api")
# What containerd's snapshots may lie on; overlay on overlay (a container's own root) is refused by the kernel.
UNSUITABLE_FOR_OVERLAY = frozenset({"overlay", "overlayfs", "nfs", "nfs4", "fuse", "9p", "virtiofs", "ecryptfs"})
CGROUPS = Path("/sys/fs/cgroup")
RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Measured once, so that the decision can be tested."""

    linux: bool
    root: bool
    writable_cgroups: bool


def measure() -> Facts:
    return Facts(linux=os.uname().sysname == "Linux", root=os.geteuid() == 0, writable_cgroups=writable_cgroups(CGROUPS))


def choose_tier(facts: Facts, wanted: Tier | None) -> tuple[Tier, str]:
    """The tier and why. What was asked for is not silently exchanged for less: see `missing_for_node`."""
    if wanted:
        return wanted, "as asked for"
    missing = missing_for_node(facts)
    return ("api", f"no pods can run here: {', '.join(missing)}") if missing else ("node", "root and control groups are here")


def missing_for_node(facts: Facts) -> list[str]:
    needs = {
        "this is no Linux": facts.linux,
        "not root": facts.root,
        "control groups cannot be written": facts.writable_cgroups,
    }
    return [what for what, met in needs.items() if not met]


def cgroup_roots(cgroups: Path = CGROUPS) -> list[Path]:
    """Folders in which a control group is made: one in cgroup v2, one a controller in v1 (and `unified` where both are)."""
    if (cgroups / "cgroup.controllers").exists():
        return [cgroups]
    return sorted(
        path for path in cgroups.glob("*") if path.is_dir() and not path.is_symlink() and (path / "cgroup.procs").exists()
    )


def writable_cgroups(cgroups: Path) -> bool:
    roots = cgroup_roots(cgroups)
    return bool(roots) and all(os.access(root, os.W_OK) and not _read_only(root) for root in roots)


def _read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def may_lower_oom_score(proc: Path = Path("/proc")) -> bool:
    """Whether a process here may lower its own oom_score_adj; sandboxes drop the capability."""
    setting = proc / "self" / "oom_score_adj"
    try:
        before = setting.read_text(encoding="ascii")
        setting.write_text(str(int(before) - 1), encoding="ascii")
        setting.write_text(before, encoding="ascii")
    except OSError:
        return False
    return True


def apparmor(environ: Mapping[str, str], security: Path = Path("/sys/kernel/security/apparmor")) -> bool:
    return security.exists() and shutil.which("apparmor_parser", path=environ.get("PATH")) is not None


def filesystem_of(path: Path, mounts: str) -> str:
    """The type of the file system that holds `path`; `mounts` is the content of /proc/mounts, where the last match counts."""
    best, found = -1, ""
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split()
        place = place.replace("\\040", " ")
        if path.is_relative_to(place) and len(Path(place).parts) >= best:
            best, found = len(Path(place).parts), kind
    return found


def supports_overlay(path: Path, mounts: str) -> bool:
    return filesystem_of(path, mounts).split(".")[0] not in UNSUITABLE_FOR_OVERLAY


def servers(resolv_conf: str) -> list[str]:
    fields = [line.split() for line in resolv_conf.splitlines()]
    return [words[1] for words in fields if len(words) > 1 and words[0] == "nameserver"]


def resolver(candidates: tuple[Path, ...] = RESOLVERS) -> tuple[Path, bool]:
    """A resolv.conf for pods, and whether they reach a server of it: one on the host's loopback they do not."""
    for candidate in candidates:
        if candidate.exists() and any(not _loopback(server) for server in servers(candidate.read_text(encoding="utf-8"))):
            return candidate, True
    return candidates[0], False


def _loopback(server: str) -> bool:
    return server.startswith("127.") or server == "::1"
