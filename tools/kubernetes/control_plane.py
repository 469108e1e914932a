"""Command lines of etcd, the API server, the scheduler and the controller manager. Where nothing is said, the default holds."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.kubernetes.address import (
    API_PORT,
    ETCD_PEER_PORT,
    ETCD_PORT,
    HOST_ADDRESS,
    LOOPBACK,
    POD_NETWORK,
    SERVICE_NETWORK,
)
from tools.kubernetes.layout import Layout
from tools.kubernetes.processes import Program

AUTOSCALER_SYNC = "5s"  # default 15s; one machine's tests would mostly wait


@dataclass(frozen=True, kw_only=True)
class Plane:
    """What the command lines depend on. `node`: whether pods can run, that is, whether the private network exists."""

    layout: Layout
    binaries: Mapping[str, Path]
    node: bool

    @property
    def address(self) -> str:
        """Where the API server listens: there alone, never on an interface that other machines reach."""
        return HOST_ADDRESS if self.node else LOOPBACK

    @property
    def url(self) -> str:
        return f"https://{self.address}:{API_PORT}"

    def kubeconfig(self, name: str) -> Path:
        return self.layout.configuration / f"{name}.kubeconfig"


def etcd(plane: Plane) -> Program:
    pki = plane.layout.pki
    return _program(
        plane,
        "etcd",
        {
            "name": "assistant",
            "data-dir": plane.layout.etcd,
            "listen-client-urls": f"https://{LOOPBACK}:{ETCD_PORT}",
            "advertise-client-urls": f"https://{LOOPBACK}:{ETCD_PORT}",
            "listen-peer-urls": f"https://{LOOPBACK}:{ETCD_PEER_PORT}",
            "initial-advertise-peer-urls": f"https://{LOOPBACK}:{ETCD_PEER_PORT}",
            "initial-cluster": f"assistant=https://{LOOPBACK}:{ETCD_PEER_PORT}",
            "cert-file": pki / "etcd.crt",
            "key-file": pki / "etcd.key",
            "client-cert-auth": "true",  # else any user of this machine could read every secret
            "trusted-ca-file": pki / "etcd-ca.crt",
            "peer-cert-file": pki / "etcd.crt",
            "peer-key-file": pki / "etcd.key",
            "peer-client-cert-auth": "true",
            "peer-trusted-ca-file": pki / "etcd-ca.crt",
            "auto-compaction-retention": "1",
        },
    )


def api_server(plane: Plane) -> Program:
    pki = plane.layout.pki
    return _program(
        plane,
        "kube-apiserver",
        {
            "bind-address": plane.address,
            # The API server refuses to advertise loopback; without a node nobody follows the address.
            "advertise-address": HOST_ADDRESS,
            "secure-port": API_PORT,
            "etcd-servers": f"https://{LOOPBACK}:{ETCD_PORT}",
            "etcd-cafile": pki / "etcd-ca.crt",
            "etcd-certfile": pki / "apiserver-etcd-client.crt",
            "etcd-keyfile": pki / "apiserver-etcd-client.key",
            "client-ca-file": pki / "ca.crt",
            "tls-cert-file": pki / "apiserver.crt",
            "tls-private-key-file": pki / "apiserver.key",
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
            "service-account-key-file": pki / "service-account.pub",
            "service-account-signing-key-file": pki / "service-account.key",
            "service-cluster-ip-range": SERVICE_NETWORK,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",  # PodSecurity and the others are on by default
            "allow-privileged": "true",  # Pod Security decides, namespace by namespace
            "kubelet-client-certificate": pki / "apiserver-kubelet-client.crt",
            "kubelet-client-key": pki / "apiserver-kubelet-client.key",
            "kubelet-certificate-authority": pki / "ca.crt",
            "kubelet-preferred-address-types": "InternalIP",  # nothing resolves the node's name
            # The aggregation layer: metrics-server and KEDA serve APIs behind this one.
            "requestheader-client-ca-file": pki / "front-proxy-ca.crt",
            "requestheader-allowed-names": "front-proxy-client",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-username-headers": "X-Remote-User",
            "proxy-client-cert-file": pki / "front-proxy-client.crt",
            "proxy-client-key-file": pki / "front-proxy-client.key",
            "enable-aggregator-routing": "true",
        },
    )


def controller_manager(plane: Plane) -> Program:
    pki, kubeconfig = plane.layout.pki, plane.kubeconfig("controller-manager")
    return _program(
        plane,
        "kube-controller-manager",
        {
            "kubeconfig": kubeconfig,
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "bind-address": LOOPBACK,
            "tls-cert-file": pki / "controller-manager.crt",
            "tls-private-key-file": pki / "controller-manager.key",
            "client-ca-file": pki / "ca.crt",
            "requestheader-client-ca-file": pki / "front-proxy-ca.crt",
            "root-ca-file": pki / "ca.crt",
            "cluster-signing-cert-file": pki / "ca.crt",
            "cluster-signing-key-file": pki / "ca.key",
            "service-account-private-key-file": pki / "service-account.key",
            "use-service-account-credentials": "true",
            "cluster-name": "assistant",
            "cluster-cidr": POD_NETWORK,
            "service-cluster-ip-range": SERVICE_NETWORK,
            "leader-elect": "false",  # there is one
            "flex-volume-plugin-dir": plane.layout.kubelet / "volume-plugins",
            "horizontal-pod-autoscaler-sync-period": AUTOSCALER_SYNC,
        },
    )


def scheduler(plane: Plane) -> Program:
    pki, kubeconfig = plane.layout.pki, plane.kubeconfig("scheduler")
    return _program(
        plane,
        "kube-scheduler",
        {
            "kubeconfig": kubeconfig,
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "bind-address": LOOPBACK,
            "tls-cert-file": pki / "scheduler.crt",
            "tls-private-key-file": pki / "scheduler.key",
            "client-ca-file": pki / "ca.crt",
            "requestheader-client-ca-file": pki / "front-proxy-ca.crt",
            "leader-elect": "false",
        },
    )


def volumes(plane: Plane) -> Program:
    """Ours, in Python: it runs as this very interpreter does."""
    command = (sys.executable, "-m", "tools.kubernetes.volumes", plane.url, str(plane.layout.pki), str(plane.layout.volumes))
    return Program(name="volumes", command=command)


def _program(plane: Plane, name: str, flags: Mapping[str, object]) -> Program:
    command = (str(plane.binaries[name]), *(f"--{flag}={value}" for flag, value in flags.items()))
    return Program(name=name, command=command)
