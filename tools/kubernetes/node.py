"""Configuration of what runs on the node: containerd, the network plugins, the kubelet and kube-proxy. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tools.kubernetes.address import (
    CLUSTER_DOMAIN,
    DNS_SERVICE_ADDRESS,
    HOST_ADDRESS,
    KUBELET_HEALTH_PORT,
    KUBELET_PORT,
    LOOPBACK,
    NODE_NAME,
    POD_NETWORK,
    PROXY_HEALTH_PORT,
    PROXY_METRICS_PORT,
)
from tools.kubernetes.layout import Layout
from tools.kubernetes.processes import Program

PAUSE_IMAGE = "localhost/assistant/pause:1"
NETWORK_NAME = "assistant"
# Another address of the private network than the host's, which is the gateway, the network's own and the broadcast address.
FIRST_POD, LAST_POD = "10.213.77.2", "10.213.77.254"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of this machine the node's configuration follows."""

    apparmor: bool
    """Profiles can be loaded."""
    adjustable_oom_score: bool
    """A process may lower its own oom_score_adj (CAP_SYS_RESOURCE)."""
    overlay: bool
    """The folder of the checkout can hold the upper layer of an overlay file system."""
    resolver: Path
    """A resolv.conf whose servers pods can reach."""
    plugins: Path
    """The folder of the CNI plugins."""


def containerd(layout: Layout, machine: Machine, runc: Path) -> str:
    """containerd's configuration, version 2 (containerd 1.x reads it, 2.x converts it). It keeps to `layout` where it can."""
    cri = "plugins.'io.containerd.grpc.v1.cri'"
    sections: dict[str, Mapping[str, object]] = {
        "": {
            "version": 2,
            "root": layout.containerd,
            "state": layout.run / "containerd",
            # None of these is used here; `opt` would make /opt/containerd.
            "disabled_plugins": [
                "io.containerd.internal.v1.opt",
                "io.containerd.snapshotter.v1.aufs",
                "io.containerd.snapshotter.v1.btrfs",
                "io.containerd.snapshotter.v1.devmapper",
                "io.containerd.snapshotter.v1.zfs",
                "io.containerd.tracing.processor.v1.otlp",
                "io.containerd.internal.v1.tracing",
            ],
        },
        "grpc": {"address": layout.containerd_socket},
        cri: {
            "sandbox_image": PAUSE_IMAGE,
            "disable_apparmor": not machine.apparmor,
            "restrict_oom_score_adj": not machine.adjustable_oom_score,
            "netns_mounts_under_state_dir": True,
            "stream_server_address": LOOPBACK,
        },
        f"{cri}.containerd": {
            "snapshotter": "overlayfs" if machine.overlay else "native",
            "default_runtime_name": "runc",
        },
        f"{cri}.containerd.runtimes.runc": {"runtime_type": "io.containerd.runc.v2"},
        f"{cri}.containerd.runtimes.runc.options": {
            "SystemdCgroup": False,
            "BinaryName": runc,
            "Root": layout.run / "runc",
        },
        f"{cri}.cni": {"bin_dir": machine.plugins, "conf_dir": layout.cni / "conf", "max_conf_num": 1},
    }
    return "\n".join(_section(name, content) for name, content in sections.items())


def _section(name: str, content: Mapping[str, object]) -> str:
    lines = [f"[{name}]"] if name else []
    for key, value in content.items():
        # JSON's strings, numbers, booleans and lists of strings are TOML as well.
        lines.append(f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def network(layout: Layout) -> str:
    """A pair of devices for each pod and a route to it, no bridge: what pods say to one another passes the host's netfilter,
    so that Services and network policies hold between them without br_netfilter."""
    addresses = {
        "type": "host-local",
        "dataDir": str(layout.cni / "addresses"),
        "ranges": [[{"subnet": POD_NETWORK, "rangeStart": FIRST_POD, "rangeEnd": LAST_POD, "gateway": HOST_ADDRESS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins: list[dict[str, object]] = [
        {"type": "ptp", "ipMasq": False, "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return json.dumps({"cniVersion": "0.4.0", "name": NETWORK_NAME, "plugins": plugins}, indent=2) + "\n"


def kubelet_configuration(layout: Layout, machine: Machine) -> str:
    """KubeletConfiguration v1beta1."""
    content: dict[str, object] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": HOST_ADDRESS,
        "port": KUBELET_PORT,
        "healthzBindAddress": LOOPBACK,
        "healthzPort": KUBELET_HEALTH_PORT,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "clusterDNS": [DNS_SERVICE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(machine.resolver),
        "cgroupDriver": "cgroupfs",  # no systemd needed
        "failCgroupV1": False,
        "failSwapOn": False,
        "podLogsDir": str(layout.logs / "pods"),
        "volumePluginDir": str(layout.kubelet / "volume-plugins"),
        # A workstation's disk is often fuller than the defaults bear, and no registry would give back a collected image.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "2%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "2%",
            "imagefs.inodesFree": "1%",
        },
    }
    if (
        not machine.adjustable_oom_score
    ):  # the sign of a sandbox: kernel settings may refuse as well, and the kubelet is to bear it
        content["featureGates"] = {"KubeletInUserNamespace": True}
    return yaml.safe_dump(content, sort_keys=False)


def proxy_configuration(kubeconfig: Path) -> str:
    """KubeProxyConfiguration v1alpha1."""
    content: dict[str, object] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": NODE_NAME,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": POD_NETWORK,
        "healthzBindAddress": f"{LOOPBACK}:{PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"{LOOPBACK}:{PROXY_METRICS_PORT}",
        # Node ports answer on the node's address alone, not on interfaces that other machines reach.
        "nodePortAddresses": ["primary"],
        "iptables": {"localhostNodePorts": False},
        # The connection table is the whole machine's: its limits stay as they are.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    return yaml.safe_dump(content, sort_keys=False)


def programs(layout: Layout, binaries: Mapping[str, Path]) -> tuple[Program, Program, Program]:
    """containerd, the kubelet and kube-proxy."""
    configuration = layout.configuration
    kubelet_flags = {
        "config": configuration / "kubelet.yaml",
        "kubeconfig": configuration / "kubelet.kubeconfig",
        "root-dir": layout.kubelet,
        "cert-dir": layout.kubelet / "pki",
        "hostname-override": NODE_NAME,
        "node-ip": HOST_ADDRESS,
    }
    return (
        Program(name="containerd", command=(str(binaries["containerd"]), "--config", str(configuration / "containerd.toml"))),
        Program(
            name="kubelet", command=(str(binaries["kubelet"]), *(f"--{flag}={value}" for flag, value in kubelet_flags.items()))
        ),
        Program(name="kube-proxy", command=(str(binaries["kube-proxy"]), f"--config={configuration / 'kube-proxy.yaml'}")),
    )
