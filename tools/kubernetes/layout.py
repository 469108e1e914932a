"""Where a cluster of our own keeps its things: all below one folder of the checkout, so that removing it removes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.kubernetes.errors import ClusterError

CHECKOUT = Path(__file__).resolve().parents[2]
LONGEST_SOCKET = 107  # bytes of a Unix socket's path, without the closing zero


@dataclass(frozen=True)
class Layout:
    """Paths below `root`, which is `.state/kubernetes` of a checkout."""

    root: Path

    @staticmethod
    def of(checkout: Path = CHECKOUT) -> Layout:
        return Layout(checkout / ".state" / "kubernetes")

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def record(self) -> Path:
        """Which cluster `up` chose: ours, kind's or one that was there."""
        return self.root / "cluster.json"

    @property
    def before(self) -> Path:
        """What this machine looked like before the node started, for `down` to put back."""
        return self.root / "before.json"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def etcd(self) -> Path:
        return self.root / "etcd"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def processes(self) -> Path:
        return self.root / "processes"

    @property
    def configuration(self) -> Path:
        return self.root / "configuration"

    @property
    def containerd(self) -> Path:
        return self.root / "containerd"

    @property
    def run(self) -> Path:
        """What a reboot makes worthless: sockets, containerd's and runc's state."""
        return self.root / "run"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        return self.root / "kubelet"

    @property
    def cni(self) -> Path:
        return self.root / "cni"

    @property
    def volumes(self) -> Path:
        """A folder for each claim. Any user may write to those, so nobody else may enter this one."""
        return self.root / "volumes"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def kubectl_cache(self) -> Path:
        return self.root / "kubectl"

    def require_short_sockets(self) -> None:
        """Raises `ClusterError` where a socket's path would be cut off."""
        for socket in (self.run / "containerd.sock.ttrpc", self.kubelet / "pod-resources" / "kubelet.sock"):
            if len(bytes(socket)) > LONGEST_SOCKET:
                raise ClusterError(
                    f"the path {socket} has {len(bytes(socket))} bytes, and a socket's path may have {LONGEST_SOCKET}: "
                    "move the checkout to a shorter path, then try again."
                )
