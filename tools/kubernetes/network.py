"""The private network of a node: its interface, the kernel's settings and the rules that `up` adds. Needs root."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.kubernetes import netfilter
from tools.kubernetes.address import HOST_ADDRESS, INTERFACE, POD_NETWORK, SERVICE_NETWORK
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.layout import Layout
from tools.kubernetes.processes import run

FAMILIES = {"iptables": "4", "ip6tables": "6"}
# What the kubelet, kube-proxy or we change: put back by `down`.
SETTINGS = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/netfilter/nf_conntrack_max",
)
# Places outside the checkout that containerd, its plugins and the kubelet insist on.
PLACES = (
    "/run/containerd",
    "/run/containerd/s",
    "/run/containerd/runc",
    "/var/lib/cni",
    "/var/lib/cni/results",
    "/run/netns",
    "/var/log/containers",
    "/var/log/pods",
    "/var/lib/kubelet",
    "/opt/cni",
    "/opt/containerd",
    "/usr/libexec/kubernetes",
)


@dataclass(frozen=True)
class Before:
    """What this machine looked like before the node started. `places`: existing folder -> the names in it."""

    settings: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, list[str]] = field(default_factory=dict)
    control_groups: list[str] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)


def remember(layout: Layout, control_groups: list[Path]) -> Before:
    """Note it once: at a second `up` the machine is no longer as it was."""
    if layout.before.exists():
        return recall(layout)
    before = Before(
        settings={name: value for name in SETTINGS if (value := read_setting(name)) is not None},
        rules={family: save_rules(family) for family in FAMILIES},
        places={place: sorted(path.name for path in Path(place).iterdir()) for place in PLACES if Path(place).is_dir()},
        control_groups=[str(path) for path in control_groups if path.exists()],
        sets=set_names(),
    )
    layout.root.mkdir(parents=True, exist_ok=True)
    layout.before.write_text(json.dumps(asdict(before), indent=1), encoding="utf-8")
    return before


def recall(layout: Layout) -> Before:
    return Before(**json.loads(layout.before.read_text(encoding="utf-8"))) if layout.before.exists() else Before()


def read_setting(name: str) -> str | None:
    try:
        return (Path("/proc/sys") / name).read_text(encoding="ascii").strip()
    except OSError:
        return None


def write_setting(name: str, value: str) -> None:
    (Path("/proc/sys") / name).write_text(f"{value}\n", encoding="ascii")


def save_rules(family: str) -> str:
    """The family's rules, empty where the kernel or the machine knows none."""
    try:
        return run([f"{family}-save"]).stdout
    except FileNotFoundError:
        return ""


def set_names() -> list[str]:
    try:
        return run(["ipset", "list", "-name"]).stdout.split()
    except FileNotFoundError:
        return []


def overlapping(routes: str, networks: tuple[str, ...] = (POD_NETWORK, SERVICE_NETWORK), ours: str = INTERFACE) -> list[str]:
    """Routes of `ip -json route` that lie inside one of our networks, but for our own: the addresses are in use."""
    wanted = [ipaddress.IPv4Network(network) for network in networks]
    found = []
    for route in json.loads(routes or "[]"):
        if route.get("dst", "default") == "default" or route.get("dev") == ours or str(route.get("dev", "")).startswith("veth"):
            continue
        there = ipaddress.ip_network(route["dst"], strict=False)
        if any(isinstance(there, ipaddress.IPv4Network) and there.subnet_of(mine) for mine in wanted):
            found.append(f"{route['dst']} on {route.get('dev')}")
    return found


def prepare() -> None:
    """The interface with the host's address, forwarding, and our rules; what is there already stays."""
    links = {link["ifname"] for link in json.loads(_ip("-json", "link", "show"))}
    if INTERFACE not in links:
        taken = overlapping(_ip("-json", "route", "show"))
        if taken:
            raise ClusterError(f"the addresses of the cluster's networks are in use on this machine: {', '.join(taken)}")
        _ip("link", "add", INTERFACE, "type", "bridge")  # no port ever joins: it only carries the address
    _ip("address", "replace", f"{HOST_ADDRESS}/32", "dev", INTERFACE)
    _ip("link", "set", INTERFACE, "up")
    write_setting("net/ipv4/ip_forward", "1")
    for table, rule in netfilter.own_rules():
        there = run(["iptables", "-w", "-t", table, "-C", *rule[1:]]).returncode == 0
        if not there:
            _must(["iptables", "-w", "-t", table, *rule])


def _ip(*arguments: str) -> str:
    return _must(["ip", *arguments])


def _must(command: list[str]) -> str:
    done = run(command)
    if done.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout
