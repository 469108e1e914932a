"""A ``cluster`` stack of one test run, on the Kubernetes of ``make cluster``: a namespace of its own."""

from __future__ import annotations

import base64
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import testinfra
from deployment import CHECKOUT, Deployment, engine_of, free_ports
from kubectl import KUBECONFIG, Kubectl, wait_until
from kubernetes.choice import with_plugin

from tools.kubernetes.address import HOST_ADDRESS
from tools.pulumi.environment import engine_environment

NODE_PORT = 31443
# Room for two of everything on two cores: what a test machine has, not what a team needs.
RESOURCES = {
    "gateway": {"cpu": "50m", "cpuLimit": "1", "memory": "256Mi"},
    "worker": {"cpu": "50m", "cpuLimit": "1", "memory": "256Mi"},
    "inference": {"cpu": "300m", "cpuLimit": "2", "memory": "1Gi"},
    "model": {"cpu": "300m", "cpuLimit": "2", "memory": "3Gi"},
    "redis": {"cpu": "50m", "cpuLimit": "1", "memory": "256Mi"},
}
AUTOSCALING = {
    "gateway": {"minimum": 2, "maximum": 3, "target": 90},
    "worker": {"minimum": 1, "maximum": 4, "target": 20},
    "inference": {"minimum": 1, "maximum": 2, "target": 50},
    "pollingSeconds": 2,
    "scaleDownSeconds": 10,
}


@dataclass(kw_only=True)
class ClusterDeployment(Deployment):
    namespace: str
    kubeconfig: Path
    has_keda: bool = False
    has_prometheus_operator: bool = False

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """``kubectl`` in the stack's namespace. With ``check``, a failure is the test's."""
        return self._kubectl(*arguments, stdin=stdin, check=check)

    def get(self, *arguments: str) -> dict[str, Any]:
        return self._kubectl.get(*arguments)

    @property
    def _kubectl(self) -> Kubectl:
        return Kubectl(namespace=self.namespace, kubeconfig=self.kubeconfig, environment=self.engine.environment)

    def pods(self, part: str) -> list[dict[str, Any]]:
        """The pods of one part that are not on their way out."""
        found: list[dict[str, Any]] = self.get("pods", f"--selector=app.kubernetes.io/name={part}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def names(self, part: str) -> set[str]:
        return {pod["metadata"]["name"] for pod in self.pods(part)}

    def inside(self, part: str) -> testinfra.host.Host:
        """The first pod of a part, through pytest-testinfra's kubectl backend."""
        pod = sorted(self.names(part))[0]
        return testinfra.get_host(f"kubectl://{pod}?container={part}&namespace={self.namespace}&kubeconfig={self.kubeconfig}")

    def settled(self, *parts: str, seconds: int = 120) -> None:
        """Wait until each part's Deployment has rolled out and no pod of an older one is left."""
        for part in parts:
            self.kubectl("rollout", "status", f"deployment/{part}", f"--timeout={seconds}s")
            selector = f"--selector=app.kubernetes.io/name={part}"
            wait_until(
                lambda selector=selector: all(
                    "deletionTimestamp" not in pod["metadata"] for pod in self.get("pods", selector)["items"]
                ),
                seconds,
            )

    def secrets(self) -> dict[str, str]:
        return {
            name: base64.b64decode(value).decode()
            for secret in self.get("secrets")["items"]
            for name, value in secret.get("data", {}).items()
            if name not in ("tls.crt", "ca.crt")
        }

    def written(self) -> dict[str, str]:
        logs = {
            pod["metadata"]["name"]: self.kubectl("logs", pod["metadata"]["name"], "--all-containers").stdout
            for pod in self.get("pods")["items"]
        }
        specifications = self.kubectl("get", "pods,deployments,statefulsets,jobs,configmaps,events", "--output=yaml").stdout
        return {**logs, "the objects that are no Secrets": specifications}

    def leftovers(self) -> list[str]:
        found = self.kubectl("get", "namespaces,persistentvolumes,priorityclasses", "--output=name").stdout.split()
        return [name for name in found if self.namespace in name]

    def remove(self) -> None:
        self.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--wait=false", check=False)
        super().remove()


def make_cluster(folder: Path) -> ClusterDeployment:
    """Settings of a small machine; the images are those that the stack builds from this checkout."""
    kubeconfig = CHECKOUT / KUBECONFIG
    port = free_ports("platform", host=HOST_ADDRESS)["platform"]
    environment = with_plugin(engine_environment(CHECKOUT, environment={**os.environ, "KUBECONFIG": str(kubeconfig)}))
    namespace = f"assistant-test-{os.getpid()}"
    deployment = ClusterDeployment(
        engine=engine_of(folder, "cluster", environment),
        folder=folder,
        platform_host=HOST_ADDRESS,
        platform_port=port,
        up_seconds=600,
        namespace=namespace,
        kubeconfig=kubeconfig,
    )
    kinds = deployment.kubectl("api-resources", "--output=name").stdout
    deployment.has_keda = "scaledobjects.keda.sh" in kinds
    deployment.has_prometheus_operator = "servicemonitors.monitoring.coreos.com" in kinds
    # Where a network re-signs TLS, the model Job must trust what this machine does.
    authorities = os.environ.get("SSL_CERT_FILE")
    deployment.configure(
        target="cluster",
        cluster={"namespace": namespace, **({"certificateAuthorities": authorities} if authorities else {})},
        exposure={"serviceType": "NodePort", "host": HOST_ADDRESS, "nodePort": NODE_PORT},
        platforms={"generic": {"url": f"http://{HOST_ADDRESS}:{port}"}},
        resources=RESOURCES,
        autoscaling={**AUTOSCALING, "keda": deployment.has_keda},
        monitoring={"prometheusOperator": deployment.has_prometheus_operator},
        inference={"threads": 2, "slots": 4},
    )
    deployment.engine.prepare()
    return deployment
