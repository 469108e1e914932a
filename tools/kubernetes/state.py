"""What stands of a cluster: its processes, its node, its addresses."""

from __future__ import annotations

from collections.abc import Mapping

from tools.kubernetes.address import DNS_SERVICE_ADDRESS, HOST_ADDRESS, NODE_NAME, POD_NETWORK, SERVICE_NETWORK
from tools.kubernetes.cluster import Cluster, Kind
from tools.kubernetes.processes import Supervisor

API_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "volumes")
NODE_PROGRAMS = ("containerd", "kubelet", "kube-proxy")
READY = "--output=jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=='Ready')].status}{'\\n'}{end}"


def expected(cluster: Cluster) -> tuple[str, ...]:
    """The processes that make it up; none where it is not ours."""
    return {"own": (*API_PROGRAMS, *NODE_PROGRAMS), "own-api": API_PROGRAMS}.get(cluster.kind, ())


def whole(cluster: Cluster) -> bool:
    """Every process of it runs, the API server answers, and pods have a node to run on."""
    supervisor = _supervisor(cluster)
    if any(supervisor.find(name) is None for name in expected(cluster)):
        return False
    nodes = ready_nodes(cluster)
    return nodes is not None and enough(cluster.kind, nodes)


def enough(kind: Kind, nodes: Mapping[str, bool]) -> bool:
    """Whether the nodes that must be ready are. A node made by hand, for the scheduler to consider, never is."""
    match kind:
        case "own":
            return nodes.get(NODE_NAME, False)
        case "own-api":
            return True
        case _:
            return any(nodes.values())


def ready_nodes(cluster: Cluster) -> dict[str, bool] | None:
    """Node -> whether it is ready; None where the API server does not answer."""
    done = cluster.try_run("get", "nodes", READY, "--request-timeout=5s")
    if done.returncode:
        return None
    return {name: status == "True" for name, _, status in (line.partition(" ") for line in done.stdout.splitlines())}


def describe(cluster: Cluster) -> list[str]:
    supervisor = _supervisor(cluster)
    lines = [f"cluster: {cluster.kind}, context {cluster.context}, {'made by `up`' if cluster.made else 'not made by `up`'}"]
    # Addons may run processes of their own; a record of theirs is not taken away when they die.
    for name in dict.fromkeys((*expected(cluster), *supervisor.names())):
        record = supervisor.find(name)
        lines.append(f"  {name}: {f'process {record.pid}' if record else f'DOES NOT RUN, see {supervisor.log(name)}'}")
    nodes = ready_nodes(cluster)
    if nodes is None:
        return [*lines, "  the API server does not answer"]
    lines += [f"  node {name}: {'ready' if ready else 'NOT READY'}" for name, ready in nodes.items()]
    if cluster.kind == "own":
        lines.append(f"  host {HOST_ADDRESS}, pods {POD_NETWORK}, Services {SERVICE_NETWORK}, DNS {DNS_SERVICE_ADDRESS}")
    if cluster.kubeconfig:
        lines.append(f"  kubeconfig {cluster.kubeconfig}")
    return lines


def _supervisor(cluster: Cluster) -> Supervisor:
    return Supervisor(cluster.layout.processes, cluster.layout.logs)
