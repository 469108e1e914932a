"""What each environment on EKS asks for finds room on the nodes that it has: a pod that fits on none waits for ever, and the
autoscaler only adds more of the same."""

from __future__ import annotations

import pytest
from aws_rendering import aws_settings

from infra.kubernetes.quantities import cores, size

GIBI = 1 << 30
# vCPUs and GiB (docs.aws.amazon.com/ec2: instance types).
INSTANCES = {"m7i.large": (2, 8), "m7i.xlarge": (4, 16)}
# The kubelet's own share (awslabs/amazon-eks-ami: nodeadm, kubelet configuration), and the pods that EKS' add-ons run on every
# node: aws-node 50m, kube-proxy 100m, CloudWatch's agent 250m and Fluent Bit 50m, node monitoring 10m.
RESERVED_CPU, RESERVED_GIBI = 0.08, 1.2
DAEMONS_CPU, DAEMONS_GIBI = 0.46, 0.4


@pytest.mark.parametrize("profile", ["dev", "staging", "prod"])
def test_every_pod_fits_on_a_node(profile):
    settings = aws_settings(profile)
    for kind in settings.eks.system_pool.instance_types:
        cpus, gibi = INSTANCES[kind]
        free_cpu, free_memory = cpus - RESERVED_CPU - DAEMONS_CPU, (gibi - RESERVED_GIBI - DAEMONS_GIBI) * GIBI
        for part in ("gateway", "worker", "inference", "model"):
            asked = getattr(settings.resources, part)
            assert cores(asked.cpu) <= free_cpu, (part, kind)
            assert size(asked.memory) <= free_memory, (part, kind)


@pytest.mark.parametrize("profile", ["dev", "staging", "prod"])
def test_the_minima_fit_on_the_largest_number_of_nodes_with_one_more_pod_of_each_part_for_a_rolling_update(profile):
    settings = aws_settings(profile)
    pool, bounds = settings.eks.system_pool, settings.autoscaling
    cpus = pool.maximum * (min(INSTANCES[kind][0] for kind in pool.instance_types) - RESERVED_CPU - DAEMONS_CPU)
    parts = ("gateway", "worker", "inference")
    wanted = sum(cores(getattr(settings.resources, part).cpu) * (getattr(bounds, part).minimum + 1) for part in parts)
    # CoreDNS, metrics-server, the two controllers.
    assert wanted + 0.6 <= cpus
