"""What the test cluster has besides Kubernetes itself: metrics-server, KEDA, enforced network policies, and custom kinds.

None of it belongs to the stack: whoever runs a real cluster installs there what they want, and the stack takes what it finds.
"""

from tools.kubernetes.addons.installation import install

__all__ = ["install"]
