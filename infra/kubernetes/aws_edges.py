"""What the parts speak to in AWS besides: where a pod is given its credentials, and the services' endpoints."""

from __future__ import annotations

from infra.kubernetes.edges import Edge
from infra.kubernetes.names import Part
from infra.kubernetes.peers import HTTPS_PORT, PRIVATE_NETWORK, PUBLIC, Addresses

# The parts with a role of their own: secrets are delivered to three, and the model is written and read.
WITH_CREDENTIALS: tuple[Part, ...] = ("gateway", "worker", "inference", "model")
# The Pod Identity agent on every node (docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html).
POD_IDENTITY = (Addresses("169.254.170.23/32"), Addresses("fd00:ec2::23/128"))
POD_IDENTITY_PORT = 80


def aws_edges(parts: tuple[Part, ...] = WITH_CREDENTIALS) -> tuple[Edge, ...]:
    """Endpoints of AWS have private addresses where the VPC has one for them, and public ones else, S3's always."""
    return tuple(
        edge
        for part in parts
        for edge in (
            *(Edge(part, peer, POD_IDENTITY_PORT, "ask for credentials") for peer in POD_IDENTITY),
            *(Edge(part, peer, HTTPS_PORT, "call AWS") for peer in (*PRIVATE_NETWORK, *PUBLIC)),
        )
    )
