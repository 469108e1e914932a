"""Who may speak to whom: the one table of the picture (docs/architecture.svg), from which every network policy is rendered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from infra import processes
from infra.kubernetes.names import GATEWAY_PORT, INFERENCE_PORT, METRICS_PORT, REDIS_PORT, Part
from infra.kubernetes.peers import CLUSTER_DNS, HTTPS_PORT, PUBLIC, Namespace, Peer, destinations, parts_of
from infra.kubernetes.redis_connection import RedisConnection, redis_of
from infra.settings import Settings

DNS_PORT = 53


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


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What lies round the namespace that no setting of a cluster says.

    ``way_in``: from where connections come to the gateway, if it is known better than ``settings.exposure`` knows it.
    ``edges``: what the parts speak to besides, for example :func:`infra.kubernetes.aws_edges.aws_edges`.
    """

    way_in: tuple[Peer, ...] = ()
    edges: tuple[Edge, ...] = ()


NOTHING_ELSE = Surroundings()


def edges(
    settings: Settings, redis: RedisConnection | None = None, surroundings: Surroundings = NOTHING_ELSE
) -> tuple[Edge, ...]:
    """All that a stack opens, in a stable order. Everything else is refused, both ways.

    ``redis``: if it is not what the settings say.
    """
    table = [
        *_way_in(settings, surroundings),
        *_between_parts(settings, redis or redis_of(settings)),
        *_way_out(settings),
        *_metrics(settings),
    ]
    opened = {_connection(edge) for edge in table}
    table += [edge for edge in surroundings.edges if _connection(edge) not in opened]
    speakers = parts_of(edge.source for edge in table)
    return (*table, *(edge for part in speakers for edge in _dns(part)))


def _connection(edge: Edge) -> tuple[object, ...]:
    return edge.source, edge.destination, edge.port, edge.protocol


def _way_in(settings: Settings, surroundings: Surroundings) -> Iterable[Edge]:
    namespace = settings.exposure.controller_namespace
    sources = surroundings.way_in or ((Namespace(namespace) if namespace else "anyone"),)
    yield from (Edge(source, "gateway", GATEWAY_PORT, "events and questions come in") for source in sources)


def _between_parts(settings: Settings, redis: RedisConnection) -> Iterable[Edge]:
    into_queue = (Edge(part, "redis", REDIS_PORT, "enqueue what it is sent") for part in processes.transports(settings))
    for edge in (*EDGES, *into_queue):
        if edge.destination != "redis":
            yield edge
        else:
            yield from (Edge(edge.source, peer, redis.port, edge.why) for peer in redis.peers)


def _way_out(settings: Settings) -> Iterable[Edge]:
    for caller in processes.callers(settings):
        peers, port = destinations(caller.url)
        yield from (Edge(caller.part, peer, port, caller.why) for peer in peers)
    yield from (Edge("model", peer, HTTPS_PORT, "fetch the model") for peer in PUBLIC)


def _metrics(settings: Settings) -> Iterable[Edge]:
    measured: tuple[Part, ...] = ("gateway", "worker", "inference", *processes.transports(settings))
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
