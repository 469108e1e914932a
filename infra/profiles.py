"""The environments on AWS, side by side: what each sets where a stack's own configuration says nothing.

A stack named as an environment has its profile; any other says it by the setting ``profile``. All that a profile does not set
is the default of :mod:`infra.aws_settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Profile = Literal["dev", "staging", "prod", "serverless"]

# What answers in earnest: Apache-2.0, of an architecture that the bundled model server runs, and small enough to be converted
# on the nodes of every environment. No stack has it before `make model-pin` has written its revision and digest, which only
# the hub knows; until then the bundled model answers, and preflight says so. docs/models.md says what is coming for Chinese.
SERIOUS_MODEL = "hf:bartowski/SmolLM2-360M-Instruct-GGUF#SmolLM2-360M-Instruct-Q8_0.gguf"

# On a node of two CPUs nothing finds room that asks for both: kubelet and EKS' own pods have half of one.
SMALL_NODES: Mapping[str, Any] = {"inference": {"cpu": "1", "cpuLimit": "2"}, "model": {"cpuLimit": "2"}}

PROFILES: Mapping[Profile, Mapping[str, Any]] = {
    "dev": {
        "target": "eks",
        "network": {"zones": 2, "nat": "one", "interfaceEndpoints": False},
        "eks": {"systemPool": {"instanceTypes": ["m7i.large"], "minimum": 2, "maximum": 3, "volume": 60}},
        "memorydb": {"nodeType": "db.t4g.small", "replicas": 0, "snapshotDays": 7},
        "retention": {"logsDays": 30, "auditDays": 30, "auditKept": False, "backupDays": 7},
        "notifications": {"monthlyBudget": 500},
        "resources": SMALL_NODES,
        "protection": False,
    },
    "staging": {
        "target": "eks",
        "network": {"zones": 2, "nat": "one"},
        "eks": {"systemPool": {"instanceTypes": ["m7i.large"], "minimum": 2, "maximum": 4, "volume": 100}},
        "memorydb": {"nodeType": "db.t4g.small", "replicas": 1, "snapshotDays": 7},
        "retention": {"logsDays": 365, "auditDays": 90, "backupDays": 35},
        "notifications": {"monthlyBudget": 1000},
        "resources": SMALL_NODES,
        "protection": False,
    },
    "prod": {
        "target": "eks",
        "network": {"zones": 3, "nat": "perZone"},
        "eks": {"systemPool": {"instanceTypes": ["m7i.xlarge"], "minimum": 3, "maximum": 6, "volume": 100}},
        "memorydb": {"nodeType": "db.r7g.large", "replicas": 2, "snapshotDays": 35},
        "retention": {"logsDays": 400, "auditDays": 400, "backupDays": 35},
        "notifications": {"monthlyBudget": 3000},
        "resources": {"inference": {"cpu": "2", "cpuLimit": "4", "memory": "6Gi"}, "model": {"memory": "12Gi"}},
        "autoscaling": {"inference": {"minimum": 2, "maximum": 6, "target": 4}, "worker": {"minimum": 2}},
        "protection": True,
    },
    "serverless": {
        "target": "fargate",
        "network": {"zones": 2, "nat": "one", "interfaceEndpoints": False},
        "memorydb": {"nodeType": "db.t4g.small", "replicas": 1, "snapshotDays": 7},
        "retention": {"logsDays": 365, "auditDays": 365, "backupDays": 35},
        "notifications": {"monthlyBudget": 300},
        # Enough for the bundled model; a larger one wants more (docs/models.md).
        "fargate": {"inference": {"cpu": 1024, "memory": 2048}},
        "protection": True,
    },
}


def completed(values: Mapping[str, Any], profile: Profile | None) -> dict[str, Any]:
    """``values`` over those of ``profile``, group by group; a list of the stack's own takes a profile's place. Pure."""
    return merged(PROFILES[profile], values) if profile else dict(values)


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result
