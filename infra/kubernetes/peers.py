"""Who is at the other end of a connection, in the words of a network policy: pods, namespaces and addresses, never names.

So an address that the settings give by name is opened as narrowly as a name allows: a Service's name as its namespace, a name
of a private network as the private ranges, any other name as the public internet, each on the one port.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from infra.kubernetes.names import REDIS_PORT, Part

PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
PRIVATE_6 = ("fc00::/7",)
# Cloud providers hand out credentials there.
LINK_LOCAL = "169.254.0.0/16"
LINK_LOCAL_6 = "fe80::/10"
# Where NodeLocal DNSCache listens on every node (kubernetes.io/docs/tasks/administer-cluster/nodelocaldns).
NODE_LOCAL_DNS = "169.254.20.10/32"
HTTPS_PORT = 443

_DEFAULT_PORTS = {"http": 80, "https": HTTPS_PORT, "redis": REDIS_PORT, "rediss": REDIS_PORT}
_SERVICE = re.compile(r"[a-z0-9-]+\.(?P<namespace>[a-z0-9-]+)\.svc(\..+)?")
# RFC 6762, RFC 8375, ICANN's reservation of .internal, and what companies made of it before.
_PRIVATE_NAME = re.compile(r"[^.]+|.+\.(internal|intranet|private|corp|home|lan|local|home\.arpa)")


@dataclass(frozen=True)
class Addresses:
    cidr: str
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Namespace:
    """Pods of a namespace that is not ours: those with all of ``pods``, or all of them."""

    name: str
    pods: tuple[tuple[str, str], ...] = ()


Peer = Part | Namespace | Addresses | Literal["anyone"]

PUBLIC = (Addresses("0.0.0.0/0", (*PRIVATE, LINK_LOCAL)), Addresses("::/0", (*PRIVATE_6, LINK_LOCAL_6)))
PRIVATE_NETWORK = tuple(Addresses(cidr) for cidr in (*PRIVATE, *PRIVATE_6))
CLUSTER_DNS = (Namespace("kube-system", (("k8s-app", "kube-dns"),)), Addresses(NODE_LOCAL_DNS))


def destinations(url: str) -> tuple[tuple[Peer, ...], int]:
    """What has to be opened for ``url``, and on which port."""
    parts = urlsplit(url)
    host, port = (parts.hostname or "").rstrip("."), parts.port or _DEFAULT_PORTS[parts.scheme]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if service := _SERVICE.fullmatch(host):
            return (Namespace(service["namespace"]),), port
        return (PRIVATE_NETWORK if _PRIVATE_NAME.fullmatch(host) else PUBLIC), port
    return (Addresses(f"{address}/{address.max_prefixlen}"),), port


def parts_of(peers: Iterable[Peer]) -> list[Part]:
    """Our own among them, each once."""
    return list(dict.fromkeys(peer for peer in peers if isinstance(peer, str) and peer != "anyone"))
