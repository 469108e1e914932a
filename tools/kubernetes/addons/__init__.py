"""What the test cluster has besides Kubernetes itself: metrics-server, KEDA, enforced network policies, and custom kinds."""

from tools.kubernetes.addons.installation import install

__all__ = ["install"]
