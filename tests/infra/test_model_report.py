"""What the Job's pod said of its model reaches the stack's outputs, and outlives the pod."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.kubernetes import model_report
from infra.kubernetes.model_report import ModelReportProvider, report

provider = ModelReportProvider()
INPUTS = {"namespace": "assistant", "job": "model-1", "context": "c", "kubeconfig": None}
SAID = json.dumps({"name": "SmolLM2", "digest": "d" * 64, "kl": 0.001})


def pods(*messages: tuple[int, str]) -> dict[str, Any]:
    ended = [{"state": {"terminated": {"exitCode": code, "message": message}}} for code, message in messages]
    return {"items": [{"status": {"containerStatuses": [status]}} for status in ended]}


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (pods((0, SAID)), {"modelName": "SmolLM2", "modelDigest": "d" * 64}),
        (
            pods((1, json.dumps({"error": "no network", "status": 1})), (0, SAID)),
            {"modelName": "SmolLM2", "modelDigest": "d" * 64},
        ),
        (pods((3, SAID)), {}),
        (pods((0, "")), {}),
        (pods((0, "Traceback …")), {}),
        (pods((0, "[]")), {}),
        ({"items": [{"status": {"containerStatuses": [{"state": {"running": {}}}]}}]}, {}),
        ({"items": [{}]}, {}),
        ({}, {}),
    ],
)
def test_the_report_of_the_pod_that_succeeded_counts_and_nothing_else(document: dict[str, Any], found: dict[str, str]) -> None:
    assert report(document) == found


class Api:
    """Stands for a cluster: what `kubectl get pods` gives."""

    def __init__(self) -> None:
        self.document = pods((0, SAID))
        self.asked: list[tuple[str, ...]] = []

    def get(self, *arguments: str) -> dict[str, Any]:
        self.asked.append(arguments)
        return self.document


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    found = Api()
    monkeypatch.setattr(model_report, "cluster_at", lambda _context, _kubeconfig: found)
    return found


def test_the_pods_of_this_job_in_this_namespace_are_asked(api: Api) -> None:
    outputs = provider.create(INPUTS).outs or {}
    assert (outputs["modelName"], outputs["modelDigest"]) == ("SmolLM2", "d" * 64)
    assert api.asked == [("pods", "--namespace", "assistant", "--selector", "job-name=model-1")]
    assert provider.diff("x", outputs, INPUTS).changes is False


def test_what_was_known_stays_when_the_pod_is_gone_but_not_for_another_job(api: Api) -> None:
    known = provider.create(INPUTS).outs or {}
    api.document = {"items": []}
    assert (provider.update("x", known, {**INPUTS, "context": "other"}).outs or {})["modelDigest"] == "d" * 64
    assert (provider.update("x", known, {**INPUTS, "job": "model-2"}).outs or {})["modelDigest"] is None


def test_a_report_that_was_missed_is_looked_for_again(api: Api) -> None:
    api.document = {"items": []}
    missed = provider.create(INPUTS).outs or {}
    assert missed["modelName"] is None
    assert provider.diff("x", missed, INPUTS).changes is True
