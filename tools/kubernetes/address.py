"""Where things are in a cluster of our own. The host's address in the private network is the node's; pods have the rest."""

from __future__ import annotations

HOST_ADDRESS = "10.213.77.1"
"""The node's address: pods reach the host there, and NodePorts answer there and nowhere else."""

POD_NETWORK = "10.213.77.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"  # the first of SERVICE_NETWORK, by the API server's own rule
DNS_SERVICE_ADDRESS = "10.96.0.10"
LOOPBACK = "127.0.0.1"

NODE_NAME = "assistant-1"
CONTEXT = "assistant"
CLUSTER_DOMAIN = "cluster.local"
INTERFACE = "assistant0"

# Kubernetes' own port numbers, except etcd's: 2379 may be taken by an etcd that Debian's package starts.
API_PORT = 6443
ETCD_PORT = 12379
ETCD_PEER_PORT = 12380
KUBELET_PORT = 10250
KUBELET_HEALTH_PORT = 10248
PROXY_HEALTH_PORT = 10256
PROXY_METRICS_PORT = 10249
