"""The programs that come from Debian: those of this machine if it has them, else its packages unpacked into the cache.

Nothing is installed and no service is started or enabled, so `down` has none to remove. apt checks the packages against its
signed lists; where this machine has no lists, they are fetched for the purpose.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.cache import Report, cache_root, exclusive, published
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.processes import run

SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # administrators' programs are not on every user's PATH
PLUGIN_FOLDERS = ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin")
PLUGINS = ("ptp", "host-local", "portmap", "loopback")
IPTABLES = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
CONTROL_PLANE = {"etcd": "etcd-server"}
NODE = {
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "conntrack": "conntrack",
    "ipset": "ipset",
    "ip": "iproute2",
    **dict.fromkeys(IPTABLES, "iptables"),
}
PLUGINS_PACKAGE = "containernetworking-plugins"


@dataclass(frozen=True)
class Found:
    """Executables by name, and the folder of the network plugins (none for an API server alone)."""

    programs: Mapping[str, Path]
    plugins: Path | None


def wanted(*, node: bool) -> dict[str, str]:
    """Program -> the package that has it."""
    return {**CONTROL_PLANE, **(NODE if node else {})}


def search_path(environ: Mapping[str, str]) -> str:
    """A PATH on which this machine's programs are found, and those that were unpacked."""
    return f"{environ.get('PATH', os.defpath)}:{SEARCH}:{unpacked_folder(environ) / 'wrappers'}"


def unpacked_folder(environ: Mapping[str, str]) -> Path:
    """By distribution and machine, whose libraries the programs are linked to."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    name = "-".join([release.get("ID", "linux"), release.get("VERSION_ID", "0"), os.uname().machine])
    return cache_root(environ) / "kubernetes" / "packages" / name


def locate(environ: Mapping[str, str], *, node: bool) -> tuple[Found, list[str]]:
    """What is there, and the packages whose programs are missing."""
    folder = unpacked_folder(environ)
    path = search_path(environ)
    programs = {name: shutil.which(name, path=path) for name in wanted(node=node)}
    missing = {package for name, package in wanted(node=node).items() if programs[name] is None}
    plugins = plugin_folder(folder) if node else None
    if node and plugins is None:
        missing.add(PLUGINS_PACKAGE)
    found = Found({name: Path(place) for name, place in programs.items() if place}, plugins)
    return found, sorted(missing)


def plugin_folder(unpacked: Path) -> Path | None:
    candidates = [*map(Path, PLUGIN_FOLDERS), unpacked / "root" / "usr" / "lib" / "cni"]
    return next((folder for folder in candidates if all((folder / plugin).exists() for plugin in PLUGINS)), None)


def ensure(environ: Mapping[str, str], report: Report, *, node: bool) -> Found:
    """Find the programs, or unpack what is missing. Raises `ClusterError` where apt cannot help."""
    found, missing = locate(environ, node=node)
    if not missing:
        return found
    advice = f"Install {', '.join(missing)} with this system's package manager, then try again."
    tools = [tool for tool in ("apt-get", "dpkg") if shutil.which(tool, path=search_path(environ)) is None]
    if tools:
        raise ClusterError(f"this machine lacks {', '.join(missing)}, and there is no {tools[0]} to fetch them with. {advice}")
    target = unpacked_folder(environ)
    with exclusive(target.parent, report), tempfile.TemporaryDirectory() as folder:
        # All at once, so that one tree holds them and its libraries serve them all.
        everything = sorted({*wanted(node=True).values(), PLUGINS_PACKAGE})
        report(f"unpacking Debian's {', '.join(missing)} into the cache (nothing is installed)")
        archives = _download(everything, missing, Path(folder), environ, advice, report)
        with published(target) as partial:
            for archive in archives:
                _must(["dpkg", "-x", str(archive), str(partial / "root")], partial, environ, advice)
            make_wrappers(partial)
    found, missing = locate(environ, node=node)
    if missing:
        raise ClusterError(f"{', '.join(missing)} were unpacked, but are not found again in {target}. {advice}")
    return found


def newly_installed(simulation: str) -> list[str]:
    """Names of the packages that `apt-get --simulate install` would install."""
    return re.findall(r"^Inst (\S+)", simulation, re.MULTILINE)


def _download(
    everything: list[str], missing: list[str], folder: Path, environ: Mapping[str, str], advice: str, report: Report
) -> list[Path]:
    sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []  # apt would drop to a user who cannot write here
    try:
        return _download_with(sandbox, everything, missing, folder, environ, advice)
    except ClusterError:
        report("this machine's package lists do not serve; fetching lists for this purpose alone")
    options = list(sandbox)
    for setting, name in {"Dir::State::Lists": "lists", "Dir::Cache": "cache"}.items():
        (folder / name / "partial").mkdir(parents=True)
        options += ["-o", f"{setting}={folder / name}"]
    _must(["apt-get", *options, "-qq", "update"], folder, environ, advice)
    return _download_with(options, everything, missing, folder, environ, advice)


def _download_with(
    options: list[str], everything: list[str], missing: list[str], folder: Path, environ: Mapping[str, str], advice: str
) -> list[Path]:
    simulate = ["apt-get", *options, "--simulate", "--no-install-recommends", "--yes", "install", *everything]
    names = sorted({*newly_installed(_must(simulate, folder, environ, advice)), *missing})
    _must(["apt-get", *options, "-qq", "download", *names], folder, environ, advice)
    return sorted(folder.glob("*.deb"))


def make_wrappers(folder: Path) -> None:
    """A script a program in `folder`/wrappers, which runs it with the libraries that were unpacked with it."""
    root, wrappers = folder / "root", folder / "wrappers"
    wrappers.mkdir()
    shared = [file for file in root.rglob("*.so*") if file.suffix == ".so" or ".so." in file.name]
    libraries = sorted({str(file.parent.relative_to(folder)) for file in shared if "xtables" not in file.parts})
    for name in [*CONTROL_PLANE, *NODE]:
        own = name in IPTABLES  # one program does them all; links to it are made at installation, which does not happen here
        program = "xtables-nft-multi" if own else name
        binary = next((found for found in root.rglob(f"*bin/{program}") if found.is_file()), None)
        if binary:
            script = wrappers / name
            script.write_text(wrapper(str(binary.relative_to(folder)), libraries, name if own else ""), encoding="utf-8")
            script.chmod(0o755)


def wrapper(program: str, libraries: list[str], argument: str) -> str:
    """`program` and `libraries` are relative to the folder above the script's; `argument` goes before the caller's."""
    places = ":".join(f"$here/{folder}" for folder in libraries)
    return (
        "#!/bin/sh\n"
        'here=$(CDPATH=\'\' cd -- "$(dirname -- "$0")/.." && pwd)\n'
        f'export LD_LIBRARY_PATH="{places}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"\n'
        + ('for folder in "$here"/root/usr/lib/*/xtables; do export XTABLES_LIBDIR="$folder"; done\n' if argument else "")
        + f'exec "$here/{program}" {argument + " " if argument else ""}"$@"\n'
    )


def _must(command: list[str], folder: Path, environ: Mapping[str, str], advice: str) -> str:
    done = run(["env", "-C", str(folder), *command], environ={**environ, "LC_ALL": "C", "PATH": search_path(environ)})
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise ClusterError(f"`{' '.join(command[:1] + command[-2:])}` failed:\n{last}\n{advice}")
    return done.stdout
