"""Leaving a cluster in order: what comes after what, what is let go after its time, and that nothing of it blocks a destroy."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from fake_kubectl import FakeKubectl, put_on_path

from infra.kubernetes import drain as draining
from infra.kubernetes.application import PRE_STOP_SECONDS, grace_seconds
from infra.kubernetes.drain import PATIENCE, Drain, DrainArgs, State, Step, drain, hook, in_cluster, next_step, resume
from infra.kubernetes.gateway import NOTICE_SECONDS

PAUSED = {"autoscaling.keda.sh/paused-replicas": "0"}


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (State(), Step("done")),
        (State(scaled=("worker",), replicas={"gateway": 2, "worker": 1}), Step("scale", "gateway")),
        (State(scaled=("worker",), replicas={"gateway": 0, "worker": 1}), Step("pause", "worker")),
        (State(replicas={"gateway": 2, "worker": 1}, pods={"worker": ("w",)}), Step("scale", "gateway")),
        (State(replicas={"gateway": 0, "worker": 1}, pods={"gateway": ("g",)}), Step("wait", "gateway", ("g",))),
        (State(replicas={"gateway": 0, "worker": 1}, pods={"gateway": ("g",)}, waited=121), Step("give up", "gateway", ("g",))),
        (State(replicas={"worker": 1}, pods={"gateway": ("g",)}, given_up=frozenset({"gateway"})), Step("scale", "worker")),
        (State(replicas={"gateway": 2, "slack-transport": 1}), Step("scale", "slack-transport")),
        (State(replicas={"gateway": 0, "worker": 1}), Step("scale", "worker")),
        (State(replicas={"worker": 0}, pods={"worker": ("w",)}, bindings=("b",)), Step("wait", "worker", ("w",))),
        (State(bindings=("a", "b"), leaving=("a",)), Step("unbind", "bindings", ("b",))),
        (State(bindings=("a",), leaving=("a",), waited=119), Step("wait", "bindings", ("a",))),
        (State(bindings=("a",), leaving=("a",), waited=120), Step("give up", "bindings", ("a",))),
        (State(bindings=("a",), leaving=("a",), given_up=frozenset({"bindings"})), Step("done")),
    ],
)
def test_first_nothing_comes_in_then_work_ends_then_the_load_balancer_lets_go(state: State, step: Step) -> None:
    assert next_step(state) == step


def test_a_pod_is_waited_for_longer_than_its_own_grace() -> None:
    longest = grace_seconds(pre_stop=PRE_STOP_SECONDS, notice=NOTICE_SECONDS)
    assert PATIENCE["gateway"] > longest + 10
    assert PATIENCE["worker"] > longest + 10


def named(name: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "spec": {"replicas": 1}}


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    return put_on_path(tmp_path, monkeypatch)


class Cluster:
    """A cluster that does what it is told, and of which parts may be stuck. ``clock`` goes on with each look and sleep."""

    def __init__(self, *stuck: str, bindings: tuple[str, ...] = ("gateway-api",)) -> None:
        self.stuck, self.now, self.told = stuck, 0.0, list[str]()
        self.replicas = {"gateway": 1, "worker": 1}
        self.bindings = {name: {} for name in bindings}
        self.scaled: dict[str, Any] = {"worker": {}, "inference": {}}

    def items(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        if kind.startswith("deployments"):
            return [{**named(part), "spec": {"replicas": count}} for part, count in self.replicas.items()]
        if kind.startswith("scaledobjects"):
            return [named(name, annotations=notes) for name, notes in self.scaled.items()]
        if kind.startswith("targetgroupbindings"):
            return [named(name, **state) for name, state in self.bindings.items()]
        part = next(part for part in self.replicas if f"name={part}" in arguments[-1])
        return [named(f"{part}-pod")] if self.replicas[part] or part in self.stuck else []

    def run(self, *arguments: str) -> str:
        self.told.append(" ".join(arguments[:4]))
        match arguments[:2]:
            case ("annotate", "scaledobjects.keda.sh"):
                self.scaled[arguments[2]] = PAUSED
            case ("scale", which):
                self.replicas[which.partition("/")[2]] = 0
            case ("delete", _):
                self.bindings = {k: {"deletionTimestamp": "now"} for k in self.bindings} if "bindings" in self.stuck else {}
            case ("patch", _):
                self.bindings.pop(arguments[2])
        return ""

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def drained(cluster: Cluster) -> list[str]:
    drain(cluster, "assistant", clock=cluster.clock, sleep=cluster.sleep)  # type: ignore[arg-type]
    return cluster.told


def test_everything_happens_once_and_in_order() -> None:
    assert drained(Cluster()) == [
        "annotate deployments.apps gateway assistant/drained=true",
        "scale deployments.apps/gateway --replicas=0 --namespace",
        "annotate scaledobjects.keda.sh worker autoscaling.keda.sh/paused-replicas=0",
        "annotate deployments.apps worker assistant/drained=true",
        "scale deployments.apps/worker --replicas=0 --namespace",
        "delete targetgroupbindings.elbv2.k8s.aws gateway-api --wait=false",
    ]


@pytest.mark.parametrize("stuck", [("gateway",), ("worker",), ("bindings",), ("gateway", "worker", "bindings")])
def test_what_is_stuck_is_named_and_let_go_in_bounded_time(stuck: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    cluster = Cluster(*stuck)
    told = drained(cluster)
    assert cluster.now <= sum(PATIENCE[each] for each in stuck) + 30  # type: ignore[index]
    assert ("patch targetgroupbindings.elbv2.k8s.aws gateway-api --type=merge" in told) == ("bindings" in stuck)
    said = capsys.readouterr().out
    for each in stuck:
        assert ("gateway-api is still there" if each == "bindings" else f"let go: {each}-pod") in said


def test_somebody_who_undoes_every_step_does_not_keep_the_stack(capsys: pytest.CaptureFixture[str]) -> None:
    class Undone(Cluster):
        def run(self, *arguments: str) -> str:
            answer = super().run(*arguments)
            self.replicas = {"gateway": 1, "worker": 1}
            return answer

    cluster = Undone()
    drained(cluster)
    assert cluster.now <= draining.LONGEST_SECONDS + 10
    assert "somebody undoes" in capsys.readouterr().out


def test_a_cluster_without_keda_and_bindings_is_drained_too(kubectl: FakeKubectl) -> None:
    absent = {"error": 'error: the server doesn\'t have a resource type "scaledobjects"'}
    kubectl.answer({"get scaledobjects.keda.sh": absent, "get targetgroupbindings.elbv2.k8s.aws": absent})
    in_cluster(drain, "{}", "assistant")
    assert all("assistant" in arguments for arguments in kubectl.asked("get"))
    assert not kubectl.asked("scale")


def test_who_was_put_to_sleep_by_a_destroy_that_was_broken_off_is_woken(kubectl: FakeKubectl) -> None:
    asleep = named("gateway", annotations={"assistant/drained": "true"})
    asleep["spec"]["replicas"] = 0
    by_others = named("inference", annotations={"assistant/drained": "true"})
    kubectl.answer(
        {
            "get deployments.apps": {"items": [asleep, named("worker"), by_others]},
            "get scaledobjects.keda.sh": {"items": [named("worker", annotations=PAUSED)]},
        }
    )
    in_cluster(resume, "{}", "assistant")
    assert [words[1:3] for words in kubectl.asked("scale")] == [["deployments.apps/gateway", "--replicas=1"]]
    assert [words[1:4] for words in kubectl.asked("annotate")] == [
        ["deployments.apps", "gateway", "assistant/drained-"],
        ["scaledobjects.keda.sh", "worker", "autoscaling.keda.sh/paused-replicas-"],
    ]


async def run(made: pulumi.ResourceHook) -> None:
    result = made(None)  # type: ignore[arg-type]
    assert asyncio.iscoroutine(result)
    await result


@pytest.mark.parametrize("reason", ["unreachable", "refused", "no kubectl", "a mistake of ours"])
async def test_whatever_fails_the_hook_does_not(
    reason: str,
    kubectl: FakeKubectl,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    hooked: Callable[..., Any],
) -> None:
    act: Any = drain
    if reason == "unreachable":
        kubectl.answer({"get": {"error": "dial tcp: lookup x.eks.amazonaws.com: no such host"}})
    elif reason == "refused":
        kubectl.answer({"get deployments.apps": {"items": [named("gateway")]}, "annotate": {"error": "is forbidden"}})
    elif reason == "no kubectl":
        monkeypatch.setenv("PATH", "")
    else:
        monkeypatch.setattr(draining, "look", lambda *_: {}["x"])
    await run(hooked(act))
    assert capsys.readouterr().out.strip().endswith("; passed over.")


@pytest.fixture
async def hooked(kubernetes_objects: Any) -> Callable[..., Any]:
    await kubernetes_objects.rendered(lambda: None)
    names = itertools.count()
    return lambda act: hook(f"h{next(names)}", act, pulumi.Output.all("{}", "assistant"))


async def test_the_object_that_goes_first_carries_named_hooks(
    kubernetes_objects: Any, hooks: list[pulumi.ResourceHook]
) -> None:
    objects = await kubernetes_objects.rendered(lambda: Drain("drain", DrainArgs(namespace="assistant", kubeconfig="{}")))
    (item,) = objects["ConfigMap"].values()
    assert (item["metadata"]["name"], item["metadata"]["namespace"]) == ("drain", "assistant")
    # In every stack's state: a destroy would not find a hook of another name.
    assert [each.name for each in hooks] == ["assistant-drain", "assistant-resume"]
