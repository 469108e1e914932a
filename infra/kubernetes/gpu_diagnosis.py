"""Why a pool proved no GPU: quota, capacity, machine image (AMI) or device plugin, or one of the things that look like them.

What is nearest to the GPU is asked first, since it supposes that all before it went well:

1. the probe ran and refused: its exit status says why;
2. its container could not be started: the image, or the node's container runtime; or it is on a node and not ready yet;
3. a node is there without the label, or with a broken GPU;
4. nodes offer GPUs, and none is free: why no further node comes, as under 7 to 9;
5. a node is ready and has no GPU to give: the device plugin, or the machine image under it;
6. a node is there and not ready: what the kubelet says;
7. a launch failed: what EC2 said, quota before capacity before all else;
8. what was launched never became a node, or EKS has another complaint;
9. nothing was launched: what the autoscaler said, or that it said nothing;
10. the Job has no pod: what the API server refused.

Where nothing fits, ``unknown`` tells what was seen and where to look on.
"""

from __future__ import annotations

from collections.abc import Callable

from infra.kubernetes.device_plugin import NAMESPACE, PLUGIN_NAME, served
from infra.kubernetes.gpu_arrival import autoscaler, never_joined, no_launch
from infra.kubernetes.gpu_causes import Cause, Diagnosis, activities, another_node, held, new_machine_image, sign_in
from infra.kubernetes.gpu_evidence import Document, Evidence, condition, gpus_of, is_ready, refusals, waiting
from infra.kubernetes.names import GPU_NODE_LABEL, GPU_RESOURCE

ENOUGH_REFUSALS = 3  # of the probe, each in a pod of its own; what passes by has passed by then
OF_THE_IMAGE = 4  # app.inference.gpu_probe.Cause.IMAGE: another try changes nothing
NO_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
NO_START = ("CreateContainerError", "CreateContainerConfigError", "RunContainerError", "StartError")
# What comes back from a registry that will say the same again.
FOR_GOOD = ("not found", "no match for platform", "denied", "Forbidden", "InvalidImageName")
NO_DRIVER = ("could not load NVML", "Incompatible platform detected", "ERROR_LIBRARY_NOT_FOUND", "ERROR_DRIVER_NOT_LOADED")


def diagnose(evidence: Evidence) -> Diagnosis:
    """The first answer in the order above. Pure."""
    return next((found for rule in RULES if (found := rule(evidence)) is not None), None) or _unknown(evidence)


def _refused(it: Evidence) -> Diagnosis | None:
    found = refusals(it)
    if not found:
        return None
    last = found[0]
    cause, summary, todo = _by_status(it, last.code, last.node)
    return Diagnosis(
        cause,
        summary,
        (f"{last.pod} on {last.node} ended with {last.code}: {last.said}",),
        todo,
        hopeless=last.code == OF_THE_IMAGE or len(found) >= ENOUGH_REFUSALS,
    )


def _by_status(it: Evidence, code: int, node: str) -> tuple[Cause, str, tuple[str, ...]]:
    """By the exit status of :mod:`app.inference.gpu_probe`."""
    match code:
        case 2:
            summary = "The pod was given a GPU and sees none: the node's container runtime does not hand it in."
            return "device", summary, (*new_machine_image(it), another_node(node))
        case 3:
            summary = "The node's NVIDIA driver is missing, not loaded, or too old for the CUDA of the image."
            return "AMI", summary, new_machine_image(it)
        case 4:
            todo = "leave assistant:images.inference out, so that the stack builds inference-gpu, or name a newer published one"
            return "image", "The image cannot compute on this GPU.", (todo,)
        case 5:
            todo = f"kubectl get pods --all-namespaces --field-selector spec.nodeName={node}"
            shared = f"give pool {it.pool.name} timeSlices 1 in assistant:gpuPools, if pods share its GPUs"
            return "memory", "Something else holds the GPU's memory.", (sign_in(it), todo, shared)
        case _:
            logs = f"kubectl -n {it.namespace} logs job/{it.job_name}"
            return "probe", "The probe failed for a reason of its own.", (sign_in(it), logs)


def _not_started(it: Evidence) -> Diagnosis | None:
    for reason, message in waiting(it.tried):
        seen = held([(reason, message)])
        if reason in NO_PULL:
            said = [line for line in it.said("Failed") if "pull" in line.lower()][:1]
            for_good = any(words in " ".join([*seen, *said]) for words in FOR_GOOD)
            todo = (
                "see that the image is there and fits the nodes' architecture, that their network reaches its registry, and "
                "that they may pull: the stack's own by their role, another by assistant:images.pullSecret"
            )
            summary = "The node cannot pull the GPU's image."
            return Diagnosis("image pull", summary, tuple(dict.fromkeys([*seen, *said])), (todo,), hopeless=for_good)
        if reason in NO_START:
            summary = "The node's container runtime does not start a container with a GPU."
            return Diagnosis("AMI", summary, tuple(seen), new_machine_image(it))
    return None


def _starting(it: Evidence) -> Diagnosis | None:
    """Of a pod that has its node: whatever hindered nodes before does not matter to it."""
    pod = next((pod for pod in it.tried if (pod.get("spec") or {}).get("nodeName")), None)
    if pod is None:
        return None
    describe = (sign_in(it), f"kubectl -n {it.namespace} describe pod {_name(pod)}")
    if (pod.get("status") or {}).get("phase") == "Running":
        return Diagnosis("probe", "The probe runs and does not end.", (f"{_name(pod)}: Running",), describe)
    if said := it.said("FailedCreatePodSandBox", "FailedMount", "UnexpectedAdmissionError"):
        return Diagnosis("node", "The node does not get the pod started.", tuple(said[:1]), describe)
    if said := it.said("Pulling"):
        summary = "The node still pulls the GPU's image, which is large."
        return Diagnosis("image pull", summary, tuple(said[:1]), (*describe, "run the same command again"))
    return None


def _wrong_node(it: Evidence) -> Diagnosis | None:
    ready = _ready(it)
    unlabelled = [_name(node) for node in ready if node["metadata"].get("labels", {}).get(GPU_NODE_LABEL) != "true"]
    if ready and len(unlabelled) == len(ready):
        summary = f"The pool's nodes lack the label {GPU_NODE_LABEL}=true, by which pods with GPUs find them."
        todo = f"kubectl label node {' '.join(unlabelled)} {GPU_NODE_LABEL}=true, then pulumi refresh and pulumi up"
        return Diagnosis("labels", summary, (f"without it: {', '.join(unlabelled)}", *_unplaced(it)), (sign_in(it), todo))
    broken = [
        (node, found) for node in ready if (found := condition(node, "AcceleratedHardwareReady")).get("status") == "False"
    ]
    if broken and len(broken) == len(ready):
        seen = tuple(f"{_name(node)}: {found.get('reason')}: {found.get('message')}" for node, found in broken)
        return Diagnosis("node", "EKS' node monitoring finds the GPU broken.", seen, (another_node(_name(broken[0][0])),))
    return None


def _all_taken(it: Evidence) -> Diagnosis | None:
    offering = [node for node in _ready(it) if gpus_of(node)]
    if not offering:
        return None
    if (found := no_launch(it) or autoscaler(it)) is not None:
        return found
    if not (unplaced := _unplaced(it)):
        return None
    summary = f"The pool's nodes with GPUs ({len(offering)}) do not take the pod, and no further one came."
    todo = f"raise maximum ({it.pool.maximum}) of pool {it.pool.name} in assistant:gpuPools, or free a GPU"
    where = f"kubectl get pods --all-namespaces --field-selector spec.nodeName={_name(offering[0])}"
    return Diagnosis("capacity", summary, unplaced, (todo, where))


def _no_gpu(it: Evidence) -> Diagnosis | None:
    ready = _ready(it)
    if not ready or any(gpus_of(node) for node in ready):
        return None
    names = [_name(node) for node in ready]
    seen = f"{', '.join(names)}: ready, with no {GPU_RESOURCE} to give"
    if not served([it.pool]):
        return Diagnosis("AMI", "Bottlerocket's own device plugin announces no GPU.", (seen,), new_machine_image(it))
    plugins = [pod for pod in it.system_pods if PLUGIN_NAME in _name(pod) and (pod.get("spec") or {}).get("nodeName") in names]
    return _plugin(it, plugins, seen)


def _plugin(it: Evidence, pods: list[Document], seen: str) -> Diagnosis:
    """Of a pool whose nodes are ready and have no GPU to give."""
    logs = f"kubectl -n {NAMESPACE} logs -l app.kubernetes.io/name={PLUGIN_NAME},app.kubernetes.io/instance={it.pool.name}"
    if not pods:
        todo = f"kubectl -n {NAMESPACE} describe daemonset {PLUGIN_NAME}-{it.pool.name}"
        summary = "No device plugin runs on the pool's nodes."
        return Diagnosis("plugin", summary, (seen, f"no pod of {PLUGIN_NAME}-{it.pool.name} there"), (sign_in(it), todo))
    states = waiting(pods)
    if any(reason in NO_PULL for reason, _ in states):
        todo = "open the nodes' way to its registry, or mirror the image (infra/kubernetes/third_party_images.py)"
        return Diagnosis("plugin", "The device plugin's image cannot be pulled.", (seen, *held(states)), (todo,))
    lines = [line.strip() for line in it.plugin_log.splitlines() if line.strip()]
    if driver := [line for line in lines if any(words in line for words in NO_DRIVER)]:
        summary = (
            "The device plugin finds no NVIDIA driver on the node: its machine image is none for GPUs, or its driver failed."
        )
        return Diagnosis("AMI", summary, (seen, *held(states), *driver[:2]), (*new_machine_image(it), logs))
    summary = "The device plugin is on the node and announces no GPU."
    return Diagnosis("plugin", summary, (seen, *held(states), *lines[-1:]), (sign_in(it), logs))


def _not_ready(it: Evidence) -> Diagnosis | None:
    if not it.pool_nodes or _ready(it):
        return None
    seen = tuple(f"{_name(node)}: {condition(node, 'Ready').get('message', 'no word')}" for node in it.pool_nodes)
    example = _name(it.pool_nodes[0])
    todo = (sign_in(it), f"kubectl describe node {example}", another_node(example))
    return Diagnosis("node", "A node of the pool joined the cluster and is not ready.", seen, todo)


def _no_pod(it: Evidence) -> Diagnosis | None:
    if it.tried:
        return None
    if said := it.said("FailedCreate"):
        todo = f"kubectl -n {it.namespace} describe job {it.job_name}"
        return Diagnosis("job", "The API server takes no pod of the Job.", tuple(said[:1]), (sign_in(it), todo))
    if it.job is None:
        return Diagnosis("job", "The Job is gone.", (f"no Job {it.job_name}",), ("pulumi refresh, then pulumi up",), True)
    return None


def _unknown(it: Evidence) -> Diagnosis:
    pods = ", ".join(f"{_name(pod)} ({(pod.get('status') or {}).get('phase')})" for pod in it.tried) or "none"
    nodes = ", ".join(_name(node) for node in it.pool_nodes) or "none"
    return Diagnosis(
        "unknown",
        "None of the known causes fits.",
        (f"pods of the Job: {pods}", f"nodes of the pool: {nodes}", *_unplaced(it), *it.unread),
        (sign_in(it), f"kubectl -n {it.namespace} describe job,pod -l job-name={it.job_name}", activities(it)),
    )


RULES: tuple[Callable[[Evidence], Diagnosis | None], ...] = (
    _refused,
    _not_started,
    _starting,
    _wrong_node,
    _all_taken,
    _no_gpu,
    _not_ready,
    no_launch,
    never_joined,
    autoscaler,
    _no_pod,
)


def _ready(it: Evidence) -> list[Document]:
    return [node for node in it.pool_nodes if is_ready(node)]


def _unplaced(it: Evidence) -> tuple[str, ...]:
    return tuple(it.said("FailedScheduling")[:1])


def _name(item: Document) -> str:
    return str(item["metadata"]["name"])
