"""Who may speak to whom: the one table of the picture (docs/architecture.svg), from which every network policy is rendered.

A NetworkPolicy knows pods, namespaces and addresses, never names. So an address that the settings give by name is opened as
narrowly as a name allows: a Service's name as its namespace, a name of a private network as the private ranges, any other
name as the public internet, each on the one port.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from infra.kubernetes.names import GATEWAY_PORT, INFERENCE_PORT, METRICS_PORT, REDIS_PORT, Part
from infra.settings import Settings

PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
PRIVATE_6 = ("fc00::/7",)
# Cloud providers hand out credentials there.
LINK_LOCAL = "169.254.0.0/16"
LINK_LOCAL_6 = "fe80::/10"
# Where NodeLocal DNSCache listens on every node (kubernetes.io/docs/tasks/administer-cluster/nodelocaldns).
NODE_LOCAL_DNS = "169.254.20.10/32"
DNS_PORT = 53
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


@dataclass(frozen=True)
class Edge:
    """``source`` may open connections to ``destination`` on ``port``, which is the pods' own, not a Service's."""

    source: Peer
    destination: Peer
    port: int
    why: str
    protocol: Literal["TCP", "UDP"] = "TCP"


# Between our own parts. What else there is depends on the settings: see edges().
EDGES: tuple[Edge, ...] = (
    Edge("gateway", "redis", REDIS_PORT, "deduplicate and enqueue an event"),
    Edge("gateway", "inference", INFERENCE_PORT, "answer a question at once"),
    Edge("worker", "redis", REDIS_PORT, "lease events"),
    Edge("worker", "inference", INFERENCE_PORT, "answer an event"),
)


def edges(settings: Settings) -> tuple[Edge, ...]:
    """All that a stack opens, in a stable order. Everything else is refused, both ways."""
    table = [
        *_way_in(settings),
        *_between_parts(settings),
        *_way_out(settings),
        *_metrics(settings),
    ]
    speakers = parts_of(edge.source for edge in table)
    return (*table, *(edge for part in speakers for edge in _dns(part)))


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


def _way_in(settings: Settings) -> Iterable[Edge]:
    namespace = settings.exposure.controller_namespace
    source: Peer = Namespace(namespace) if namespace else "anyone"
    yield Edge(source, "gateway", GATEWAY_PORT, "events and questions come in")


def _between_parts(settings: Settings) -> Iterable[Edge]:
    for edge in EDGES:
        if edge.destination != "redis" or settings.redis.url is None:
            yield edge
            continue
        peers, port = destinations(settings.redis.url)
        if peers == PUBLIC or settings.redis.cluster:
            # A managed Redis has a public name and a private address; the nodes of a cluster name each other's.
            peers = (*PUBLIC, *PRIVATE_NETWORK)
        yield from (Edge(edge.source, peer, port, edge.why) for peer in peers)


def _way_out(settings: Settings) -> Iterable[Edge]:
    if settings.platforms.generic.url is not None:
        peers, port = destinations(settings.platforms.generic.url)
        yield from (Edge("worker", peer, port, "answer on the platform") for peer in peers)
    yield from (Edge("model", peer, HTTPS_PORT, "fetch the model") for peer in PUBLIC)


def _metrics(settings: Settings) -> Iterable[Edge]:
    measured: tuple[Part, ...] = ("gateway", "worker", "inference")
    for part in measured:
        yield Edge(Namespace(settings.monitoring.namespace), part, METRICS_PORT, "Prometheus scrapes")
    if settings.autoscaling.keda:
        scaled_by: tuple[Part, ...] = ("gateway", "inference")
        for part in scaled_by:
            yield Edge(Namespace(settings.autoscaling.keda_namespace), part, METRICS_PORT, "KEDA reads what it scales by")


def _dns(part: Part) -> Iterable[Edge]:
    protocols: tuple[Literal["UDP", "TCP"], ...] = ("UDP", "TCP")
    for peer in CLUSTER_DNS:
        for protocol in protocols:
            yield Edge(part, peer, DNS_PORT, "look names up", protocol)
