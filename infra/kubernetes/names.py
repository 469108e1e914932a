"""The words that the Kubernetes components share: what each part is called, where it listens, what it is labelled."""

from __future__ import annotations

from typing import Literal

Part = Literal["gateway", "worker", "inference", "redis", "model", "slack-transport", "feishu-transport"]
# Those that every stack may have; of the transports it has what its settings choose.
PARTS: tuple[Part, ...] = ("gateway", "worker", "inference", "redis", "model")

APPLICATION = "assistant"
# Every object of a part has the same name as the part; only the Service in front of inference has one that the world knows.
INFERENCE_SERVICE = "ai-service"

# TCP. Each process of the application serves its metrics on a port of its own.
GATEWAY_PORT = 8443
INFERENCE_PORT = 8080
WORKER_PORT = 8081  # health
TRANSPORT_PORT = 8081  # health
REDIS_PORT = 6379
METRICS_PORT = 9090

# In every image; the numbers are the Dockerfile's. Pod Security `restricted` wants a number, not a name.
USER_ID = 10001
SECRETS_DIRECTORY = "/run/secrets/assistant"
ACCESS_DIRECTORY = "/run/access"
TENANT_SECRETS_DIRECTORY = "/run/secrets/tenants"
CERTIFICATE_DIRECTORY = "/run/certificate"
AUTHORITIES_FILE = "/run/authorities/ca-certificates.crt"
MODELS_DIRECTORY = "/models"

# The one place that says what a GPU node is: its resource, its taint (NVIDIA's and EKS's own name for both) and its label.
GPU_RESOURCE = "nvidia.com/gpu"
GPU_TAINT_KEY = "nvidia.com/gpu"
GPU_NODE_LABEL = "nvidia.com/gpu.present"
# On every node of a pool that the stack itself makes: the pool's name.
POOL_LABEL = "assistant/pool"

# A digest of what a pod reads from elsewhere: where it changes, the pod is replaced.
CONFIGURATION_ANNOTATION = "assistant/configuration"
# On every pod that mounts the models' volume: they are kept on one node where the volume can be on one alone.
MODEL_VOLUME_LABEL = "assistant/model-volume"

CERTIFICATE_SECRET = "gateway-certificate"  # noqa: S105 - a name: the Secret with what the stack's own authority signed


def labels(part: Part) -> dict[str, str]:
    """The recommended labels (kubernetes.io/docs/concepts/overview/working-with-objects/common-labels)."""
    return {**selector(part), "app.kubernetes.io/part-of": APPLICATION, "app.kubernetes.io/managed-by": "pulumi"}


def selector(part: Part) -> dict[str, str]:
    """What a Deployment, a Service or a NetworkPolicy finds the pods of a part by. Immutable in a Deployment."""
    return {"app.kubernetes.io/name": part, "app.kubernetes.io/instance": APPLICATION}


def metrics_service(part: Part) -> str:
    """The Service in front of the metrics of a part's pods."""
    return f"{part}-metrics"
