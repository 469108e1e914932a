"""Removes a cluster of our own, and puts this machine back as it was: processes, mounts, groups, network, rules, folders."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tools.cache import Report, remove
from tools.kubernetes import host, netfilter, network
from tools.kubernetes.address import HOST_ADDRESS, INTERFACE
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.layout import Layout
from tools.kubernetes.network import Before
from tools.kubernetes.processes import Supervisor, run

# The kubelet first, so that nothing that ends is started again; the store last.
ORDER = (
    "kubelet",
    "volumes",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kube-apiserver",
    "etcd",
    "containerd",
)
PATIENCE = 10.0
GRACE = 2.0  # the API server would wait for its last watcher; what it holds goes with it
CGROUP_NAME = "kubepods"


def own(layout: Layout, report: Report) -> list[str]:
    """Remove the cluster; what could not be removed, in words. Without root there was never a node, and little to do."""
    if layout.before.exists() and os.geteuid():
        raise ClusterError("this cluster was made by root, and only root can remove it: try again with sudo.")
    before = network.recall(layout)
    supervisor = Supervisor(layout.processes, layout.logs)
    known = [name for name in ORDER if name in supervisor.names()]
    for name in [*known, *(name for name in supervisor.names() if name not in known)]:
        supervisor.stop(name, GRACE)
    report("stopped the cluster's processes")
    if layout.before.exists():
        sockets = shim_sockets(layout)
        end_all(lambda: [*members(before), *shims(layout)])
        report("ended the pods")
        unmount_below(layout.root)
        for path in sockets:
            path.unlink(missing_ok=True)
        remove_control_groups(before)
        remove_interfaces()
        restore_rules(before)
        restore_places(before, layout.root)
        restore_settings(before)
    left = leftovers(layout, before)
    # Never delete through a mount, nor what a second `down` needs to do better.
    if all(line.startswith(("folder ", "setting ")) for line in left):
        forget(layout)
    return left


def forget(layout: Layout) -> None:
    if layout.root.exists():
        remove(layout.root)


def mounts_below(root: Path, mountinfo: str) -> list[str]:
    """Mount points below `root`, the deepest and latest first. `mountinfo` is /proc/self/mountinfo."""
    places = [line.split()[4].encode().decode("unicode_escape") for line in mountinfo.splitlines()]
    return [place for place in reversed(places) if Path(place).is_relative_to(root) and Path(place) != root]


def unmount_below(root: Path) -> None:
    """Lazily where something still looks at it: nothing of the cluster runs any more."""
    for place in mounts_below(root, Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
        if run(["umount", place]).returncode:
            run(["umount", "--lazy", place])


def members(before: Before) -> list[int]:
    """Processes in the pods' control groups."""
    return [
        int(pid)
        for group in pod_groups(before)
        for listing in [group / "cgroup.procs", *group.rglob("cgroup.procs")]
        for pid in _lines(listing)
        if pid != "0"
    ]


def pod_groups(before: Before) -> list[Path]:
    """The control groups that the kubelet made; one that stood before is another's."""
    groups = [root / CGROUP_NAME for root in host.cgroup_roots()]
    return [group for group in groups if group.exists() and str(group) not in before.control_groups]


def shims(layout: Layout, proc: Path = Path("/proc")) -> list[int]:
    """containerd's shims that talk to our containerd: their command names its socket."""
    found = []
    for process in proc.glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"containerd-shim-runc-v2") and bytes(layout.containerd_socket) in words:
            found.append(int(process.name))
    return found


def shim_sockets(layout: Layout) -> list[Path]:
    """Their sockets, which lie in /run/containerd/s whatever containerd's configuration says: each bundle notes its own."""
    notes = (layout.run / "containerd").glob("io.containerd.runtime.v2.task/*/*/address")
    return [
        Path(text.removeprefix("unix://"))
        for note in notes
        for text in _lines(note)
        if text.startswith("unix:///run/containerd/s/")
    ]


def end_all(find: Callable[[], Iterable[int]]) -> None:
    """SIGKILL until `find` finds nobody."""
    end = time.monotonic() + PATIENCE
    while pids := set(find()):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > end:
            return
        time.sleep(0.05)


def remove_control_groups(before: Before) -> None:
    for group in pod_groups(before):
        folders = sorted((path for path in [group, *group.rglob("*")] if path.is_dir()), key=lambda path: -len(path.parts))
        for folder in folders:
            for _ in range(20):  # the kernel lets a group go a moment after its last process
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.05)


def our_interfaces(addresses: str) -> list[str]:
    """Of `ip -json address`: ours, and each pair of devices whose end here carries our address."""
    links = json.loads(addresses or "[]")
    return [
        link["ifname"]
        for link in links
        if link.get("ifname") == INTERFACE
        or (
            link.get("ifname", "").startswith("veth")
            and any(info.get("local") == HOST_ADDRESS for info in link.get("addr_info", []))
        )
    ]


def remove_interfaces() -> None:
    for name in our_interfaces(run(["ip", "-json", "address", "show"]).stdout):
        run(["ip", "link", "delete", name])


def restore_rules(before: Before) -> None:
    """Twice: a chain whose last user goes in the first round is free in the second."""
    for family in network.FAMILIES:
        for _ in range(2):
            script = netfilter.removal(network.save_rules(family), before.rules.get(family, ""))
            if script:
                run([f"{family}-restore", "--noflush", "--wait"], stdin=script)
    for name in network.set_names():
        if name not in before.sets and name.startswith("KUBE-"):
            run(["ipset", "destroy", name])


def restore_settings(before: Before) -> None:
    for name, value in before.settings.items():
        if network.read_setting(name) != value:
            with contextlib.suppress(OSError):
                network.write_setting(name, value)


def restore_places(before: Before, root: Path) -> None:
    """Folders outside the checkout: what is ours in them goes, and so do those that were not there before and are empty now."""
    for place in reversed(network.PLACES):
        path = Path(place)
        if not path.is_dir() or path.is_symlink():
            continue
        for added in ours_in(path, before.places.get(place, []), root):
            remove(added)
        if place not in before.places:
            prune(path)


def prune(folder: Path) -> None:
    """Remove it if there is nothing in it but folders."""
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            Path(path).rmdir()


def ours_in(path: Path, earlier: list[str], root: Path) -> list[Path]:
    """What of a shared folder's new content is ours: by the folder ``root`` in it, or as a socket that nobody listens at."""
    new = [entry for entry in path.iterdir() if entry.name not in earlier]
    match str(path):
        case "/var/lib/cni/results":
            mark = f'"sandbox":"{root}/'
            return [entry for entry in new if mark in entry.read_text(encoding="utf-8", errors="replace")]
        case "/run/containerd/s":  # sockets of shims that died without a word
            return [entry for entry in new if dead_socket(entry)]
        case "/var/log/containers":
            return [entry for entry in new if entry.is_symlink() and entry.readlink().is_relative_to(root)]
        case "/var/lib/kubelet":
            return [entry for entry in (path / "device-plugins").glob("kubelet.sock") if dead_socket(entry)]
        case _:
            return []


def dead_socket(path: Path) -> bool:
    """Nobody listens there any more."""
    alive = {line.split()[-1] for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()}
    return path.is_socket() and str(path) not in alive


def leftovers(layout: Layout, before: Before) -> list[str]:
    """What is still there of the cluster, looked for anew."""
    supervisor = Supervisor(layout.processes, layout.logs)
    left = [f"process {name}" for name in supervisor.names() if supervisor.find(name)]
    left += [f"mount {place}" for place in mounts_below(layout.root, Path("/proc/self/mountinfo").read_text(encoding="utf-8"))]
    if not layout.before.exists():
        return left
    left += [f"process {pid} of a pod" for pid in {*members(before), *shims(layout)}]
    left += [f"control group {group}" for group in pod_groups(before)]
    left += [f"interface {name}" for name in our_interfaces(run(["ip", "-json", "address", "show"]).stdout)]
    for family in network.FAMILIES:
        left += [f"{family} {line}" for line in netfilter.left_over(network.save_rules(family), before.rules.get(family, ""))]
    for name, value in before.settings.items():
        if network.read_setting(name) != value:
            left.append(f"setting {name} is {network.read_setting(name)}, and was {value}")
    left += [f"folder {place}" for place in network.PLACES if Path(place).exists() and place not in before.places]
    return left


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
