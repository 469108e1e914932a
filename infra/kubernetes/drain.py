"""How the assistant leaves a cluster: gateway and worker end their work before anything of theirs is deleted."""

from __future__ import annotations

# The load balancer's bindings go while the controller that clears their finalizers still runs.
BINDINGS = "targetgroupbindings.elbv2.k8s.aws"
# In this order: first nothing comes in, then what came in is worked off.
PARTS = ("gateway", "worker")
