"""What a container may do to its node and in its own image: the Pod Security Standard ``restricted`` and a little more.

On ECS the same words hold for a task definition. Ephemeral containers count: a debugging session is no reason to be root.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from policies.ecs import DEFINITIONS, TASK_DEFINITION, known_containers, runs_on_fargate, unknown_tasks
from policies.pods import PATCHES, PROPERTIES, SINGLE, WORKLOADS, Pod, each_container, each_pod, specification_of
from policies.resource import Resource, View
from policies.rule import PASS, Check, Relation, Remediation, Rule, Severity, Verdict, each, fail
from policies.rules import links
from policies.show import show
from policies.values import Value

LEAST_UID: Final = 10000  # below it are the accounts that images and nodes give away themselves
HOST_NAMESPACES: Final = ("hostNetwork", "hostPID", "hostIPC")
PERSISTENT_VOLUME: Final = "kubernetes:core/v1:PersistentVolume"
# The one capability that `restricted` lets be added: it opens ports below 1024 and nothing else.
HARMLESS_CAPABILITIES: Final = frozenset({"NET_BIND_SERVICE"})
NO_NEW_PRIVILEGES: Final = ("no-new-privileges", "no-new-privileges:true")
UNCONFINED: Final = ("seccomp=unconfined", "seccomp:unconfined")


# R27: the node


def apart_from_the_node(resource: Resource) -> Verdict:
    return each_pod(resource, _apart)


def _apart(pod: Pod) -> Verdict:
    return each(
        *(partial(_off, pod.spec, name) for name in HOST_NAMESPACES),
        lambda: _no_windows_host(pod.spec.mapping("securityContext")),
        *(partial(_no_host_path, volume) for volume in pod.spec.mappings("volumes") or []),
        *(partial(_container_apart, container) for container in pod.containers()),
    )


def _off(view: View, name: str) -> Verdict:
    return fail(f"{view.path(name)} is true: a container that shares it acts on the whole node") if view.boolean(name) else PASS


def _no_host_path(volume: View) -> Verdict:
    if "hostPath" not in volume:
        return PASS
    host_path = volume.mapping("hostPath")
    path = (host_path.text("path") if host_path else None) or "files"
    return fail(f"{volume.path('hostPath')} gives the container the node's {show(path)}")


def _container_apart(container: View) -> Verdict:
    context = container.mapping("securityContext")
    return each(
        lambda: _off(context, "privileged") if context else PASS,
        lambda: _proc_is_masked(context),
        lambda: _no_windows_host(context),
        *(partial(_no_host_port, port) for port in container.mappings("ports") or []),
    )


def _proc_is_masked(context: View | None) -> Verdict:
    mount = (context.text("procMount") if context else None) or "Default"
    return PASS if context is None or mount == "Default" else fail(f"{context.path('procMount')} is {show(mount)}, not Default")


def _no_windows_host(context: View | None) -> Verdict:
    options = context.mapping("windowsOptions") if context else None
    return _off(options, "hostProcess") if options else PASS


def _no_host_port(port: View) -> Verdict:
    number = port.integer("hostPort") or 0
    return fail(f"{port.path('hostPort')} is {number}: the port would be open on the node itself") if number else PASS


def no_volume_of_the_node(resource: Resource) -> Verdict:
    spec = resource.view.mapping("spec")
    return _no_host_path(spec) if spec else PASS


def task_apart_from_its_host(resource: Resource) -> Verdict:
    task = resource.view
    modes = ("networkMode", "pidMode", "ipcMode")
    return each(
        *(partial(_not_of_the_host, task, name) for name in modes),
        *(partial(_no_task_host_path, volume) for volume in task.mappings("volumes") or []),
    )


def _not_of_the_host(task: View, name: str) -> Verdict:
    return fail(f"{name} is host: a task that shares it acts on the whole instance") if task.text(name) == "host" else PASS


def _no_task_host_path(volume: View) -> Verdict:
    path = volume.text("hostPath")
    return fail(f"{volume.path('hostPath')} gives the task the instance's {show(path)}") if path else PASS


def ecs_container_apart(_task: View, container: View) -> Verdict:
    linux = container.mapping("linuxParameters")
    devices = (linux.mappings("devices") or []) if linux else []
    return each(
        lambda: _off(container, "privileged"),
        lambda: fail(f"{container.path('linuxParameters')}.devices gives it devices of the instance") if devices else PASS,
    )


# R28: the user


def runs_as_nobody_of_the_node(resource: Resource) -> Verdict:
    return each_container(resource, _nobody)


def _nobody(pod: Pod, container: View) -> Verdict:
    contexts = _contexts(pod, container)
    return each(lambda: _not_root(container, contexts), lambda: _high_uid(container, contexts))


def _not_root(container: View, contexts: list[View]) -> Verdict:
    for context in contexts:
        if (stated := context.boolean("runAsNonRoot")) is not None:
            return PASS if stated else fail(f"{context.path('runAsNonRoot')} is false")
    return fail(f"{container.path('securityContext')}.runAsNonRoot is set neither here nor for the pod")


def _high_uid(container: View, contexts: list[View]) -> Verdict:
    for context in contexts:
        if (uid := context.integer("runAsUser")) is not None:
            wanted = f"it is {LEAST_UID} or more"
            return PASS if uid >= LEAST_UID else fail(f"{context.path('runAsUser')} is {uid}; {wanted}")
    return fail(f"{container.path('securityContext')}.runAsUser is set neither here nor for the pod, so the image decides")


def ecs_user(_task: View, container: View) -> Verdict:
    user = container.text("user")
    if user is None:
        return fail(f"{container.path('user')} is not set, so the image decides")
    uid = user.partition(":")[0]
    if not re.fullmatch(r"\d{1,10}", uid):
        return fail(f"{container.path('user')} is {show(user)}, no number: the image decides who that is")
    return PASS if int(uid) >= LEAST_UID else fail(f"{container.path('user')} is {show(user)}; its UID is {LEAST_UID} or more")


# R29: privileges


def gains_no_privileges(resource: Resource) -> Verdict:
    return each_container(resource, _no_gain)


def _no_gain(_pod: Pod, container: View) -> Verdict:
    context = container.mapping("securityContext") or View({}, ())
    where = container.path("securityContext")
    return each(
        lambda: (
            PASS
            if context.boolean("allowPrivilegeEscalation") is False
            else fail(f"{where}.allowPrivilegeEscalation is not false, so a setuid program makes root of anybody")
        ),
        lambda: _capabilities(context, where),
    )


def _capabilities(holder: View, where: str) -> Verdict:
    """Kubernetes and ECS write them alike."""
    capabilities = holder.mapping("capabilities") or View({})
    dropped, added = capabilities.texts("drop") or [], capabilities.texts("add") or []
    extra = [name for name in added if name.removeprefix("CAP_") not in HARMLESS_CAPABILITIES]
    return each(
        lambda: PASS if "ALL" in dropped else fail(f"{where}.capabilities.drop does not say ALL"),
        lambda: fail(f"{where}.capabilities.add has {', '.join(show(name) for name in extra)}") if extra else PASS,
    )


def ecs_privileges(task: View, container: View) -> Verdict:
    linux = container.mapping("linuxParameters") or View({})
    return each(
        lambda: _capabilities(linux, container.path("linuxParameters")),
        lambda: PASS if runs_on_fargate(task) else _no_new_privileges(container),
    )


def _no_new_privileges(container: View) -> Verdict:
    """Fargate refuses ``dockerSecurityOptions``; on an instance of one's own nothing else keeps a setuid program from root."""
    options = container.texts("dockerSecurityOptions") or []
    stated = any(option in NO_NEW_PRIVILEGES for option in options)
    return PASS if stated else fail(f"{container.path('dockerSecurityOptions')} does not say {NO_NEW_PRIVILEGES[0]}")


# R30: system calls


def system_calls_are_filtered(resource: Resource) -> Verdict:
    return each_container(resource, _filtered)


def _filtered(pod: Pod, container: View) -> Verdict:
    for context in _contexts(pod, container):
        profile = context.mapping("seccompProfile")
        if profile is not None:
            kind = profile.text("type") or "empty"
            return PASS if kind == "RuntimeDefault" else fail(f"{profile.path('type')} is {show(kind)}; it is RuntimeDefault")
    return fail(f"{container.path('securityContext')}.seccompProfile is set neither here nor for the pod")


def by_default(resource: Resource) -> dict[tuple[str, ...], Value]:
    """For the pod; a container that says something else still has to be mended by hand."""
    return {(*specification_of(resource.type), "securityContext", "seccompProfile"): {"type": "RuntimeDefault"}}


def ecs_filter(_task: View, container: View) -> Verdict:
    """The runtime's own profile holds unless it is switched off."""
    options = container.texts("dockerSecurityOptions") or []
    switched = any(option in UNCONFINED for option in options)
    return fail(f"{container.path('dockerSecurityOptions')} switches seccomp off") if switched else PASS


# R31: the image


def image_is_read_only(resource: Resource) -> Verdict:
    return each_container(resource, _read_only)


def _read_only(_pod: Pod, container: View) -> Verdict:
    context = container.mapping("securityContext")
    if context is not None and context.boolean("readOnlyRootFilesystem"):
        return PASS
    return fail(f"{container.path('securityContext')}.readOnlyRootFilesystem is not true")


def ecs_read_only(_task: View, container: View) -> Verdict:
    stated = container.boolean("readonlyRootFilesystem")
    return PASS if stated else fail(f"{container.path('readonlyRootFilesystem')} is not true")


def _contexts(pod: Pod, container: View) -> list[View]:
    """The container's own security context, then the pod's, which counts for what the first leaves out."""
    contexts = (container.mapping("securityContext"), pod.spec.mapping("securityContext"))
    return [context for context in contexts if context is not None]


_TASK: Final = (DEFINITIONS,)

RULES: Final = (
    Rule(
        id="R27",
        name="no-privileged-pods",
        title="No container is privileged or shares namespaces, paths, ports or devices of its node",
        severity=Severity.CRITICAL,
        controls=("8.9", "8.22", "8.2"),
        remedy="take out privileged, hostNetwork, hostPID, hostIPC, hostPath and hostPort; waive what a node's agent needs",
        link=links.POD_SECURITY,
        checks=(
            Check(types=(*WORKLOADS, *PATCHES), properties=PROPERTIES, judge=apart_from_the_node),
            Check(types=(PERSISTENT_VOLUME,), properties=("spec",), judge=no_volume_of_the_node),
            Check(
                types=(TASK_DEFINITION,),
                properties=("networkMode", "pidMode", "ipcMode", "volumes"),
                judge=task_apart_from_its_host,
            ),
            Check(types=(TASK_DEFINITION,), properties=_TASK, judge=known_containers(ecs_container_apart)),
        ),
        relations=(Relation(reads={TASK_DEFINITION: _TASK}, judge=unknown_tasks(ecs_container_apart)),),
    ),
    Rule(
        id="R28",
        name="pods-run-as-non-root",
        title=f"Containers run as a user other than root, with a UID of {LEAST_UID} or more",
        severity=Severity.HIGH,
        controls=("8.9", "8.2"),
        remedy=f"set runAsNonRoot: true and runAsUser: {LEAST_UID + 1} (ECS: user) for the pod or its container",
        link=links.POD_SECURITY,
        checks=(
            Check(types=WORKLOADS, properties=PROPERTIES, judge=runs_as_nobody_of_the_node),
            Check(types=(TASK_DEFINITION,), properties=_TASK, judge=known_containers(ecs_user)),
        ),
        relations=(Relation(reads={TASK_DEFINITION: _TASK}, judge=unknown_tasks(ecs_user)),),
    ),
    Rule(
        id="R29",
        name="no-privilege-escalation",
        title="Containers gain no privileges, and all capabilities are dropped",
        severity=Severity.HIGH,
        controls=("8.9", "8.2", "8.18"),
        remedy="set allowPrivilegeEscalation: false and capabilities.drop: [ALL] (ECS: linuxParameters.capabilities)",
        link=links.POD_SECURITY,
        checks=(
            Check(types=WORKLOADS, properties=PROPERTIES, judge=gains_no_privileges),
            Check(
                types=(TASK_DEFINITION,),
                properties=(*_TASK, "requiresCompatibilities"),
                judge=known_containers(ecs_privileges),
            ),
        ),
        relations=(Relation(reads={TASK_DEFINITION: _TASK}, judge=unknown_tasks(ecs_privileges)),),
    ),
    Rule(
        id="R30",
        name="seccomp-runtime-default",
        title="System calls are filtered by the runtime's seccomp profile",
        severity=Severity.MEDIUM,
        controls=("8.9",),
        remedy="set seccompProfile.type: RuntimeDefault for the pod",
        link=links.SECCOMP,
        checks=(
            Check(types=WORKLOADS, properties=PROPERTIES, judge=system_calls_are_filtered),
            Check(types=(TASK_DEFINITION,), properties=_TASK, judge=known_containers(ecs_filter)),
        ),
        relations=(Relation(reads={TASK_DEFINITION: _TASK}, judge=unknown_tasks(ecs_filter)),),
        remediation=Remediation(types=SINGLE, propose=by_default),
    ),
    Rule(
        id="R31",
        name="read-only-root-filesystem",
        title="A container cannot write into its own image",
        severity=Severity.MEDIUM,
        controls=("8.9", "8.19"),
        remedy="set readOnlyRootFilesystem: true (ECS: readonlyRootFilesystem) and mount what must be written",
        link=links.SECURITY_CONTEXT,
        checks=(
            Check(types=WORKLOADS, properties=PROPERTIES, judge=image_is_read_only),
            Check(types=(TASK_DEFINITION,), properties=_TASK, judge=known_containers(ecs_read_only)),
        ),
        relations=(Relation(reads={TASK_DEFINITION: _TASK}, judge=unknown_tasks(ecs_read_only)),),
    ),
)
