"""Every object that any setting renders: strict dry run at the real API server, schemas, kube-score and Checkov."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_deployment import ClusterDeployment
from rendering import render

from infra.settings import Settings
from infra.settings_reader import settings_from
from tools.kubernetes.addons import scoring

EXPLAINED = Path(__file__).with_name("explained_findings.yaml")
# Each way that settings can turn what is rendered, besides the stack that is deployed.
HOST = "assistant.example.com"
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "ingress": {"exposure": {"kind": "ingress", "host": HOST, "ingressClass": "nginx", "controllerNamespace": "ingress-nginx"}},
    "gateway-api": {"exposure": {"kind": "gateway", "host": HOST, "gateway": "edge/public"}},
    "load-balancer": {"exposure": {"serviceType": "LoadBalancer", "host": HOST}},
    "gpu": {"inference": {"device": "cuda"}, "storage": {"modelAccess": "ReadWriteMany"}},
    "operators": {"autoscaling": {"keda": True}, "monitoring": {"prometheusOperator": True}},
    "external-redis": {"redis": {"url": "rediss://redis.example.com:6380", "passwordSecret": "external-redis"}},
}
PUBLISHED = {
    name: f"registry.example.com/assistant/{name}@sha256:{'0' * 63}{number}"
    for number, name in enumerate(("gateway", "inference", "redis"))
}


@pytest.fixture(scope="module")
def empty_namespace(deployed: ClusterDeployment) -> Iterator[str]:
    """A namespace in which nothing stands that could be immutable."""
    name = f"manifests-{uuid.uuid4().hex[:8]}"
    deployed.kubectl("create", "namespace", name)
    yield name
    deployed.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_takes_every_object_strictly(deployed: ClusterDeployment, empty_namespace: str, variant: str) -> None:
    """Field by field, admission and custom kinds included; a field that it does not know would be an error, not a warning."""
    documents = _rendered(variant, empty_namespace)
    assert len(documents) >= 20
    done = deployed.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename=-"),
        f"--namespace={empty_namespace}",
        stdin=yaml.safe_dump_all(documents),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(documents)  # a line for each that was taken


def test_kube_score_finds_nothing_unexplained(tmp_path: Path) -> None:
    manifests = _written(tmp_path)
    done = subprocess.run(
        [str(scoring.kube_score(print)), "score", "--output-format=json", str(manifests)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = {
        f"{check['check']['id']} {item['object_name'].split('/')[0]}"
        for item in json.loads(done.stdout)
        for check in item["checks"]
        if check["grade"] < 7 and not check["skipped"]  # 10 is all well, 7 nearly; kube-score counts the rest as findings
    }
    _same(found, "kube-score")


def test_checkov_finds_nothing_unexplained(tmp_path: Path) -> None:
    manifests = _written(tmp_path)
    done = subprocess.run(
        [str(scoring.checkov(print)), "--file", str(manifests), "--framework", "kubernetes", "--output", "json", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 100
    found = {f"{check['check_id']} {check['resource'].split('.')[0]}" for check in report["results"]["failed_checks"]}
    _same(found, "checkov")


def _same(found: set[str], tool: str) -> None:
    """Every finding has its explanation, and every explanation is still of use."""
    explained = set(yaml.safe_load(EXPLAINED.read_text(encoding="utf-8"))[tool] or {})
    assert found - explained == set()
    assert explained - found == set()


def _settings(variant: str, namespace: str) -> Settings:
    chosen = {"target": "cluster", "cluster": {"namespace": namespace}, "images": PUBLISHED, **VARIANTS[variant]}
    platform = {"platforms": {"generic": {"url": "https://platform.example.com"}}}
    config = {f"assistant:{key}": json.dumps(value) if not isinstance(value, str) else value for key, value in chosen.items()}
    return settings_from(config | {f"assistant:{key}": json.dumps(value) for key, value in platform.items()}, "cluster")


def _rendered(variant: str, namespace: str) -> list[dict[str, Any]]:
    return render(_settings(variant, namespace))


def _written(folder: Path) -> Path:
    """The manifests of the variant with most in it, in one file."""
    file = folder / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(_rendered("operators", "assistant")), encoding="utf-8")
    return file
