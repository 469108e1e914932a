"""What `down` removes, and what it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tools.kubernetes import network, teardown
from tools.kubernetes.address import HOST_ADDRESS, INTERFACE
from tools.kubernetes.layout import Layout


def test_mounts_below_the_cluster_are_found_with_the_latest_first() -> None:
    lines = [
        "1 0 8:1 / / rw - ext4 /dev/sda rw",
        "2 1 0:5 / /c/.state/kubernetes/kubelet/pods/a rw - tmpfs tmpfs rw",
        "3 2 0:6 / /c/.state/kubernetes/kubelet/pods/a/b\\040c rw - tmpfs tmpfs rw",
        "4 1 0:7 / /c/.state/kubernetes-of-another rw - tmpfs tmpfs rw",
    ]
    root = Path("/c/.state/kubernetes")
    assert teardown.mounts_below(root, "\n".join(lines)) == [f"{root}/kubelet/pods/a/b c", f"{root}/kubelet/pods/a"]


def test_interfaces_are_ours_by_name_or_by_the_address_they_carry() -> None:
    def link(name: str, *addresses: str) -> dict[str, object]:
        return {"ifname": name, "addr_info": [{"local": address} for address in addresses]}

    links = [link("eth0", "192.0.2.2"), link(INTERFACE), link("veth1", HOST_ADDRESS), link("veth2", "10.88.0.1"), {}]
    assert teardown.our_interfaces(json.dumps(links)) == [INTERFACE, "veth1"]


def test_folders_go_if_only_folders_are_in_them(tmp_path: Path) -> None:
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    (tmp_path / "used" / "deep").mkdir(parents=True)
    (tmp_path / "used" / "file").touch()
    for name in ("empty", "used"):
        teardown.prune(tmp_path / name)
    assert not (tmp_path / "empty").exists()
    assert (tmp_path / "used" / "file").exists() and not (tmp_path / "used" / "deep").exists()


def test_the_sockets_of_our_shims_are_known_by_the_notes_of_their_bundles(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for name, address in {"a": "unix:///run/containerd/s/123", "b": "unix:///somewhere/else"}.items():
        bundle = layout.run / "containerd" / "io.containerd.runtime.v2.task" / "k8s.io" / name
        bundle.mkdir(parents=True)
        (bundle / "address").write_text(address)
    assert teardown.shim_sockets(layout) == [Path("/run/containerd/s/123")]


def test_only_shims_of_our_containerd_are_ended(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "ours")
    for number, socket in {"11": layout.containerd_socket, "12": "/run/containerd/containerd.sock"}.items():
        (tmp_path / "proc" / number).mkdir(parents=True)
        words = ["/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-address", str(socket), ""]
        (tmp_path / "proc" / number / "cmdline").write_bytes("\0".join(words).encode())
    assert teardown.shims(layout, tmp_path / "proc") == [11]


def test_everybody_is_ended_until_nobody_is_found() -> None:
    children = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2)]
    teardown.end_all(lambda: [child.pid for child in children if child.poll() is None])
    assert all(child.poll() is not None for child in children)


def test_routes_inside_our_networks_are_noticed_and_others_are_not() -> None:
    routes = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "10.88.0.0/16", "dev": "podman0"},
        {"dst": "10.96.5.0/24", "dev": "tun0"},
        {"dst": "10.213.77.5", "dev": "veth1"},
    ]
    assert network.overlapping(json.dumps(routes)) == ["10.96.5.0/24 on tun0"]


def test_what_was_before_is_noted_once_and_recalled(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    assert network.recall(layout) == network.Before()
    first = network.remember(layout, [tmp_path])
    assert first.control_groups == [str(tmp_path)]
    assert network.remember(layout, []) == first == network.recall(layout)


def test_of_a_shared_folder_only_what_is_dead_and_new_or_called_as_ours_is_removed(tmp_path: Path) -> None:
    (tmp_path / "somebodys").touch()
    assert teardown.ours_in(tmp_path, [], tmp_path / "cluster") == [], "a folder that we know nothing of keeps everything"
