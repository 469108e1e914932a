"""Pods and Fargate tasks, and what each may do to the place where it runs."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme
from kubernetes_resources import changed_task, deployment, job, task

SPEC = "spec/template/spec"
FIRST, MAIN = f"{SPEC}/initContainers/0/securityContext", f"{SPEC}/containers/0/securityContext"
POD = f"{SPEC}/securityContext"
TASK = "containerDefinitions"

_CASES = {
    "R27": Cases(
        failing=(
            Bad("gateway", {f"{MAIN}/privileged": True}, "containers[0].securityContext.privileged is true"),
            Bad("gateway", {f"{FIRST}/privileged": True}, "initContainers[0].securityContext.privileged"),
            Bad(
                "gateway",
                {f"{SPEC}/ephemeralContainers": [{"name": "debug", "securityContext": {"privileged": True}}]},
                "ephemeralContainers[0].securityContext.privileged",
            ),
            Bad("gateway", {f"{SPEC}/hostNetwork": True}, "spec.template.spec.hostNetwork is true"),
            Bad("gateway", {f"{SPEC}/hostPID": True}, "hostPID"),
            Bad("gateway", {f"{SPEC}/hostIPC": True}, "hostIPC"),
            Bad("gateway", {f"{SPEC}/volumes": [{"name": "x", "hostPath": {"path": "/"}}]}, "volumes[0].hostPath gives"),
            Bad("gateway", {f"{SPEC}/volumes": [{"name": "x", "hostPath": {}}]}, "the node's files"),
            Bad("gateway", {f"{SPEC}/containers/0/ports": [{"containerPort": 80, "hostPort": 80}]}, "hostPort is 80"),
            Bad("gateway", {f"{MAIN}/procMount": "Unmasked"}, "procMount is Unmasked"),
            Bad("gateway", {f"{MAIN}/windowsOptions": {"hostProcess": True}}, "windowsOptions.hostProcess is true"),
            Bad("gateway", {f"{POD}/windowsOptions": {"hostProcess": True}}, "spec.securityContext.windowsOptions"),
            Bad("agent", {f"{SPEC}/hostNetwork": True}, "hostNetwork"),
            Bad("volume", {"spec/hostPath": {"path": "/etc"}}, "spec.hostPath gives the container the node's /etc"),
            Bad("task", {TASK: changed_task(privileged=True)}, "containerDefinitions[0].privileged is true"),
            Bad(
                "task",
                {TASK: changed_task(linuxParameters={"devices": [{"hostPath": "/dev/fuse"}]})},
                "devices of the instance",
            ),
            Bad("task", {"networkMode": "host"}, "networkMode is host"),
            Bad("task", {"pidMode": "host"}, "pidMode is host"),
            Bad("task", {"ipcMode": "host"}, "ipcMode is host"),
            Bad("task", {"volumes": [{"name": "x", "hostPath": "/var"}]}, "volumes[0].hostPath gives the task"),
        ),
        unknown=("gateway", f"{MAIN}/privileged"),
        malformed=("gateway", f"{MAIN}/privileged"),
    ),
    "R28": Cases(
        failing=(
            Bad("gateway", {f"{MAIN}/runAsNonRoot": False}, "containers[0].securityContext.runAsNonRoot is false"),
            Bad("gateway", {f"{FIRST}/runAsUser": 0}, "initContainers[0].securityContext.runAsUser is 0"),
            Bad("gateway", {f"{MAIN}/runAsUser": 9999}, "runAsUser is 9999; it is 10000 or more"),
            Bad("gateway", {f"{MAIN}/runAsUser": None, f"{POD}/runAsUser": 1000}, "spec.securityContext.runAsUser is 1000"),
            Bad("gateway", {f"{MAIN}/runAsUser": None, f"{POD}/runAsUser": None}, "so the image decides"),
            Bad("gateway", {f"{MAIN}/runAsNonRoot": None, f"{POD}/runAsNonRoot": None}, "runAsNonRoot is set neither"),
            Bad("gateway", {f"{MAIN}/runAsNonRoot": None, f"{POD}/runAsNonRoot": False}, "spec.securityContext.runAsNonRoot"),
            Bad("gateway", {MAIN: None, POD: None}, "runAsNonRoot"),
            Bad("job", {f"{MAIN}/runAsUser": 0}, "runAsUser is 0"),
            Bad("task", {TASK: changed_task(user=None)}, "containerDefinitions[0].user is not set"),
            Bad("task", {TASK: changed_task(user="root")}, "user is root, no number"),
            Bad("task", {TASK: changed_task(user="0:10001")}, "user is 0:10001; its UID is 10000 or more"),
            Bad("task", {TASK: changed_task(user="9999")}, "user is 9999"),
        ),
        unknown=("gateway", f"{MAIN}/runAsUser"),
        malformed=("gateway", f"{MAIN}/runAsNonRoot"),
    ),
    "R29": Cases(
        failing=(
            Bad("gateway", {f"{MAIN}/allowPrivilegeEscalation": True}, "allowPrivilegeEscalation is not false"),
            Bad("gateway", {f"{MAIN}/allowPrivilegeEscalation": None}, "allowPrivilegeEscalation is not false"),
            Bad("gateway", {f"{FIRST}/capabilities": None}, "initContainers[0].securityContext.capabilities.drop does not"),
            Bad("gateway", {f"{MAIN}/capabilities": {"drop": ["NET_RAW"]}}, "capabilities.drop does not say ALL"),
            Bad("gateway", {f"{MAIN}/capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}, "capabilities.add has SYS_ADMIN"),
            Bad("gateway", {MAIN: None}, "allowPrivilegeEscalation"),
            Bad("task", {TASK: changed_task(linuxParameters=None)}, "linuxParameters.capabilities.drop does not say ALL"),
            Bad(
                "task",
                {TASK: changed_task(linuxParameters={"capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]}})},
                "capabilities.add has SYS_PTRACE",
            ),
            Bad("task", {"requiresCompatibilities": ["EC2"]}, "dockerSecurityOptions does not say no-new-privileges"),
        ),
        unknown=("gateway", f"{MAIN}/capabilities"),
        malformed=("gateway", f"{MAIN}/capabilities/drop"),
    ),
    "R30": Cases(
        failing=(
            Bad(
                "gateway", {f"{MAIN}/seccompProfile/type": "Unconfined"}, "containers[0].securityContext.seccompProfile.type is"
            ),
            Bad(
                "gateway", {f"{FIRST}/seccompProfile": None, f"{POD}/seccompProfile": None}, "set neither here nor for the pod"
            ),
            Bad(
                "gateway",
                {f"{FIRST}/seccompProfile": None, f"{POD}/seccompProfile/type": "Localhost"},
                "spec.securityContext.seccompProfile.type is Localhost",
            ),
            Bad("gateway", {f"{MAIN}/seccompProfile/type": None}, "seccompProfile.type is empty"),
            Bad("task", {TASK: changed_task(dockerSecurityOptions=["seccomp=unconfined"])}, "switches seccomp off"),
            Bad("task", {TASK: changed_task(dockerSecurityOptions=["seccomp:unconfined"])}, "switches seccomp off"),
        ),
        unknown=("gateway", f"{MAIN}/seccompProfile/type"),
        malformed=("gateway", f"{MAIN}/seccompProfile"),
    ),
    "R31": Cases(
        failing=(
            Bad("gateway", {f"{MAIN}/readOnlyRootFilesystem": False}, "containers[0].securityContext.readOnlyRootFilesystem"),
            Bad("gateway", {f"{FIRST}/readOnlyRootFilesystem": None}, "initContainers[0].securityContext.readOnlyRoot"),
            Bad("job", {MAIN: None}, "readOnlyRootFilesystem is not true"),
            Bad("task", {TASK: changed_task(readonlyRootFilesystem=False)}, "readonlyRootFilesystem is not true"),
            Bad("task", {TASK: changed_task(readonlyRootFilesystem=None)}, "readonlyRootFilesystem is not true"),
        ),
        unknown=("gateway", f"{MAIN}/readOnlyRootFilesystem"),
        malformed=("gateway", f"{MAIN}/readOnlyRootFilesystem"),
    ),
}

THEME = Theme(
    good={
        "gateway": Good(type="kubernetes:apps/v1:Deployment", properties=deployment("gateway", "deliver-secrets")),
        "job": Good(type="kubernetes:batch/v1:Job", properties=job("model")),
        # Somebody else's DaemonSet, of which a stack changes one variable.
        "agent": Good(
            type="kubernetes:apps/v1:DaemonSetPatch",
            properties={
                "metadata": {"name": "aws-node", "namespace": "kube-system"},
                "spec": {"template": {"spec": {"containers": [{"name": "aws-node", "env": [{"name": "A", "value": "1"}]}]}}},
            },
        ),
        "volume": Good(
            type="kubernetes:core/v1:PersistentVolume",
            properties={
                "metadata": {"name": "models"},
                "spec": {"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}},
            },
        ),
        "task": Good(type="aws:ecs/taskDefinition:TaskDefinition", properties=task()),
    },
    cases=_CASES,
)
