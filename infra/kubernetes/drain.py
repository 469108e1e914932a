"""How the assistant leaves a cluster: the gateway is taken out of service, what came in is worked off, and the load balancer
lets go, before anything is deleted.

A ConfigMap that depends on everything else is what a destroy deletes first; its ``before_delete`` hook does this. Deleted all
at once, pods would go while they answer, and a binding whose controller went first would hold its namespace for ever.

The hook never fails, since a hook that fails blocks the destroy for good: what is stuck after its time is named and let go
(pods end with their namespace; of a binding the finalizer is taken, as its target group goes with the stack), and a cluster
that does not answer is passed over. It needs a destroy that runs the program, which `make down` does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.kubernetes.kubectl import Kubectl, kubectl
from infra.kubernetes.names import APPLICATION, selector

# Names of a hook, part of every stack's state: a destroy finds the hook by them.
DRAIN_HOOK, RESUME_HOOK = "assistant-drain", "assistant-resume"
OBJECT = "drain"
# First nothing comes in, then what came in is worked off, then the load balancer forgets where it was.
Subject = Literal["slack-transport", "feishu-transport", "gateway", "worker", "bindings"]
TRANSPORTS: tuple[Subject, ...] = ("slack-transport", "feishu-transport")  # of which a stack may have none
PARTS: tuple[Subject, ...] = (*TRANSPORTS, "gateway", "worker")
ORDER: tuple[Subject, ...] = (*PARTS, "bindings")
BINDINGS = "targetgroupbindings.elbv2.k8s.aws"
SCALED_OBJECTS = "scaledobjects.keda.sh"
# KEDA would wake what was put to sleep, and so paused puts it to sleep itself, at once; a HorizontalPodAutoscaler leaves 0
# alone (keda.sh: pause autoscaling; tried with 2.20).
PAUSED = "autoscaling.keda.sh/paused-replicas"
DRAINED = "assistant/drained"
# The longest grace of a pod is 85 s (infra/kubernetes/gateway.py), and its deletion is seen a little later.
PATIENCE: Mapping[Subject, int] = dict.fromkeys(ORDER, 120)
EVERY_SECONDS = 2
LONGEST_SECONDS = sum(PATIENCE.values()) + 60  # of all of it, also where somebody undoes each step


@dataclass(frozen=True, kw_only=True)
class State:
    """``scaled``: ScaledObjects that still scale. ``replicas``: wanted, of Deployments that are there. ``pods``: by part.
    ``bindings``: those there; ``leaving``: those of them that are being deleted. ``waited``: seconds for what stands next;
    ``given_up``: what took too long."""

    scaled: tuple[str, ...] = ()
    replicas: Mapping[str, int] = field(default_factory=dict)
    pods: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bindings: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    waited: float = 0
    given_up: frozenset[Subject] = frozenset()


@dataclass(frozen=True)
class Step:
    """``about``: whom it is for; ``names``: objects."""

    kind: Literal["pause", "scale", "unbind", "wait", "give up", "done"]
    about: Subject | None = None
    names: tuple[str, ...] = ()


def next_step(state: State) -> Step:
    """One subject after the other, each as far as it goes. Pure."""
    for subject in ORDER:
        if subject in state.given_up:
            continue
        if subject == "bindings":
            if staying := tuple(name for name in state.bindings if name not in state.leaving):
                return Step("unbind", subject, staying)
            left = state.bindings
        else:
            if subject in state.scaled:
                return Step("pause", subject)
            if state.replicas.get(subject, 0) > 0:
                return Step("scale", subject)
            left = state.pods.get(subject, ())
        if left:
            return Step("wait" if state.waited < PATIENCE[subject] else "give up", subject, left)
    return Step("done")


@dataclass(frozen=True, kw_only=True)
class DrainArgs:
    """``kubeconfig``: its text. ``transports``: those that the stack has."""

    namespace: pulumi.Input[str]
    kubeconfig: pulumi.Input[str]
    transports: tuple[str, ...] = ()


class Drain(pulumi.ComponentResource):
    """Depends, by ``opts``, on all that it drains and on the controllers that it needs for it, and so goes before them."""

    def __init__(self, name: str, args: DrainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Drain", name, {}, opts)
        where = pulumi.Output.all(args.kubeconfig, args.namespace)
        hooks = pulumi.ResourceHookBinding(
            before_delete=[hook(DRAIN_HOOK, drain, where)],
            # After a destroy that was broken off, the next `up` makes the object anew, and wakes who was put to sleep.
            after_create=[hook(RESUME_HOOK, resume, where)],
        )
        ConfigMap(
            f"{name}-first",
            metadata=ObjectMetaArgs(
                name=OBJECT,
                namespace=args.namespace,
                labels={"app.kubernetes.io/part-of": APPLICATION, "app.kubernetes.io/managed-by": "pulumi"},
            ),
            data={"order": " ".join(subject for subject in ORDER if subject not in TRANSPORTS or subject in args.transports)},
            opts=pulumi.ResourceOptions(parent=self, hooks=hooks),
        )
        self.register_outputs({})


def hook(name: str, act: Callable[[Kubectl, str], None], where: pulumi.Output[Any]) -> pulumi.ResourceHook:
    """A hook that does ``act`` in a cluster and a namespace, and whose failure is told and is none."""

    async def run(_args: pulumi.ResourceHookArgs) -> None:
        try:
            known = await where.future()
            if not known:
                say(f"{name}: how the cluster is reached is not known; passed over.")
                return
            await asyncio.to_thread(in_cluster, act, str(known[0]), str(known[1]))
        except Exception as error:  # whatever it is: the stack must not be kept alive by it
            say(f"{name}: {error}; passed over.")

    return pulumi.ResourceHook(name, run)


def in_cluster(act: Callable[[Kubectl, str], None], kubeconfig: str, namespace: str) -> None:
    with kubectl(kubeconfig) as cluster:
        act(cluster, namespace)


def drain(
    cluster: Kubectl,
    namespace: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Raises :class:`infra.kubernetes.kubectl.KubectlError` where the cluster does not answer or refuses."""
    begun = since = clock()
    awaited, given_up = None, frozenset[Subject]()
    while clock() - begun <= LONGEST_SECONDS:
        seen = look(cluster, namespace)
        step = next_step(State(**seen, waited=clock() - since, given_up=given_up))
        if step.kind == "done":
            say(f"Nothing of the assistant is in service in {namespace} any more.")
            return
        if step.kind == "wait":
            if awaited != step.about:
                say(f"Waits for {', '.join(step.names)} to end.")
                since, awaited = clock(), step.about
            sleep(EVERY_SECONDS)
            continue
        act(cluster, namespace, step)
        if step.kind == "give up" and step.about:
            given_up |= {step.about}
        since, awaited = clock(), None
        sleep(EVERY_SECONDS)  # until those who watch have seen it
    say(f"Not out of service after {LONGEST_SECONDS} s, let go: somebody undoes in {namespace} what is done.")


def look(cluster: Kubectl, namespace: str) -> dict[str, Any]:
    """What :class:`State` holds of the cluster."""
    inside = ("--namespace", namespace)
    deployments = {_name(it): it for it in cluster.items("deployments.apps", *inside)}
    scaled = [
        _name(it)
        for it in cluster.items(SCALED_OBJECTS, *inside)
        if _name(it) in PARTS and (it["metadata"].get("annotations") or {}).get(PAUSED) != "0"
    ]
    bindings = cluster.items(BINDINGS, *inside)
    pods = {
        part: tuple(_name(it) for it in cluster.items("pods", *inside, "--selector", _selector(part)) if not _ended(it))
        for part in PARTS
        if part in deployments or part not in TRANSPORTS
    }
    return {
        "scaled": tuple(scaled),
        "replicas": {part: int(deployments[part]["spec"].get("replicas", 1)) for part in PARTS if part in deployments},
        "pods": pods,
        "bindings": tuple(map(_name, bindings)),
        "leaving": tuple(_name(it) for it in bindings if it["metadata"].get("deletionTimestamp")),
    }


def act(cluster: Kubectl, namespace: str, step: Step) -> None:
    inside = ("--namespace", namespace)
    if step.kind == "pause":
        cluster.run("annotate", SCALED_OBJECTS, str(step.about), f"{PAUSED}=0", "--overwrite", *inside)
    elif step.kind == "scale":
        say(f"Takes the {step.about} out of service.")
        cluster.run("annotate", "deployments.apps", str(step.about), f"{DRAINED}=true", "--overwrite", *inside)
        cluster.run("scale", f"deployments.apps/{step.about}", "--replicas=0", *inside)
    elif step.kind == "unbind":
        say(f"Takes {', '.join(step.names)} out of the load balancer's target groups.")
        cluster.run("delete", BINDINGS, *step.names, "--wait=false", "--ignore-not-found", *inside)
    elif step.kind == "give up" and step.about == "bindings":
        for name in step.names:
            say(
                f"TargetGroupBinding {name} is still there after {PATIENCE['bindings']} s: the load balancer's controller does "
                "not let go. Its finalizer is taken; its targets go with the target group."
            )
            cluster.run("patch", BINDINGS, name, "--type=merge", '--patch={"metadata": {"finalizers": null}}', *inside)
    elif step.kind == "give up" and step.about:
        say(f"Still there after {PATIENCE[step.about]} s, let go: {', '.join(step.names)}. Unfinished work stays in the queue.")


def resume(cluster: Kubectl, namespace: str) -> None:
    """Wake what a drain put to sleep and nobody deleted."""
    inside = ("--namespace", namespace)
    for deployment in cluster.items("deployments.apps", *inside):
        name, found = _name(deployment), deployment["metadata"].get("annotations") or {}
        if name not in PARTS or found.get(DRAINED) != "true":
            continue
        say(f"The {name} was taken out of service by a destroy that did not end; it serves again.")
        if int(deployment["spec"].get("replicas", 1)) == 0:
            cluster.run("scale", f"deployments.apps/{name}", "--replicas=1", *inside)
        cluster.run("annotate", "deployments.apps", name, f"{DRAINED}-", *inside)
    for scaled in cluster.items(SCALED_OBJECTS, *inside):
        if _name(scaled) in PARTS and (scaled["metadata"].get("annotations") or {}).get(PAUSED) == "0":
            cluster.run("annotate", SCALED_OBJECTS, _name(scaled), f"{PAUSED}-", *inside)


def say(line: str) -> None:
    print(line, flush=True)  # a hook runs in the program's process, whose output the engine shows


def _selector(part: Subject) -> str:
    return ",".join(f"{key}={value}" for key, value in selector(part).items()) if part != "bindings" else ""


def _ended(pod: Mapping[str, Any]) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def _name(item: Mapping[str, Any]) -> str:
    return str(item["metadata"]["name"])
