"""Where AWS is played on this machine. Pods reach the node's address alone, and network policies open these ports there."""

from __future__ import annotations

from tools.kubernetes.address import HOST_ADDRESS

API = (HOST_ADDRESS, 443)
"""AWS' APIs (moto). Plain HTTP: what a pod may reach of AWS is port 443, whatever is spoken there."""
API_URL = f"http://{API[0]}:{API[1]}"
QUEUE = (HOST_ADDRESS, 6379)
"""MemoryDB's endpoint."""
EDGE = "127.213.77.1"
"""The load balancer's, with listeners on 80 and 443. Loopback: people and platforms of a rehearsal are on this machine."""
NETWORK = "10.213.64.0/20"
"""The VPC's, which the node's and the pods' addresses lie in, as they do on EKS."""
REGION_KEYS = {"AWS_ACCESS_KEY_ID": "rehearsal", "AWS_SECRET_ACCESS_KEY": "rehearsal"}
