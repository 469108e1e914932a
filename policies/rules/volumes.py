"""Volumes of nodes, and those that pods ask for: encrypted, by what makes them or by the account."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.customer_keys import own_keys
from policies.given import is_given
from policies.key_policies import AUTO_SCALING, READS, lets_in
from policies.relations import means
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Check, Finding, Relation, Rule, Severity, Verdict, each, fail, found, undetermined
from policies.rules import links

TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
CONFIGURATION: Final = "aws:ec2/launchConfiguration:LaunchConfiguration"
INSTANCE: Final = "aws:ec2/instance:Instance"
VOLUME: Final = "aws:ebs/volume:Volume"
NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
SCALING_GROUP: Final = "aws:autoscaling/group:Group"
BY_DEFAULT: Final = "aws:ebs/encryptionByDefault:EncryptionByDefault"
STORAGE_CLASS: Final = "kubernetes:storage.k8s.io/v1:StorageClass"
EBS_DRIVERS: Final = ("ebs.csi.aws.com", "ebs.csi.eks.amazonaws.com", "kubernetes.io/aws-ebs")

IMAGES_CHOICE: Final = "is not set: the image, or AWS' default, decides, and that is no encryption"


def encrypted(stack: Stack) -> Sequence[Finding]:
    """Where the account encrypts every new volume, only what says no of its own accord could do otherwise, and cannot."""
    if any(found(each, partial(_account, each)).verdict == PASS for each in stack.of_type(BY_DEFAULT)):
        return [found(each, lambda: PASS) for each in stack.of_type(TEMPLATE, CONFIGURATION, INSTANCE, VOLUME, NODE_GROUP)]
    return [
        *(found(each, partial(_template, stack, each)) for each in stack.of_type(TEMPLATE)),
        *(found(each, partial(_machine, each)) for each in stack.of_type(INSTANCE, CONFIGURATION)),
        *(found(each, partial(_encrypted, each.view)) for each in stack.of_type(VOLUME)),
        *(found(each, partial(_node_group, stack, each)) for each in stack.of_type(NODE_GROUP)),
    ]


def _account(setting: Resource) -> Verdict:
    return fail("enabled is false") if setting.view.boolean("enabled") is False else PASS


def _template(stack: Stack, template: Resource) -> Verdict:
    mappings = template.view.mappings("blockDeviceMappings") if is_given(template, "blockDeviceMappings") else []
    disks = [disk for mapping in mappings or [] if (disk := mapping.mapping("ebs"))]
    if not disks:
        return fail(f"blockDeviceMappings {IMAGES_CHOICE}")
    makers = [maker for maker in stack.of_type(NODE_GROUP, SCALING_GROUP) if means(maker, "launchTemplate", template)]
    keys = [key for disk in disks for key in own_keys(stack, template, disk, "kmsKeyId")] if makers else []
    uses = [partial(lets_in, stack, key, AUTO_SCALING) for key in {key.urn: key for key in keys}.values()]
    return each(*(partial(_encrypted, disk) for disk in disks), *uses)


def _machine(machine: Resource) -> Verdict:
    """https://www.pulumi.com/registry/packages/aws/api-docs/ec2/instance: its own disk, and further ones."""
    root = machine.view.mapping("rootBlockDevice") if is_given(machine, "rootBlockDevice") else None
    if root is None:
        return fail(f"rootBlockDevice.encrypted {IMAGES_CHOICE}")
    further = machine.view.mappings("ebsBlockDevices") if is_given(machine, "ebsBlockDevices") else []
    return each(*(partial(_encrypted, disk) for disk in (root, *(further or []))))


def _node_group(stack: Stack, group: Resource) -> Verdict:
    if not is_given(group, "launchTemplate"):
        return fail("launchTemplate is not set: EKS makes the nodes' volumes as their image says, and that is no encryption")
    if any(means(group, "launchTemplate", template) for template in stack.of_type(TEMPLATE)):
        return PASS  # the finding, if there is one, is the template's
    return undetermined("launchTemplate is none of this stack's, so nobody can say here whether its volumes are encrypted")


def _encrypted(disk: View) -> Verdict:
    """Launch templates have a text where the others have a boolean."""
    value = disk.known("encrypted")
    if value is None:
        return fail(f"{disk.path('encrypted')} {IMAGES_CHOICE}")
    said = disk.text("encrypted") == "true" if isinstance(value, str) else disk.boolean("encrypted")
    return PASS if said else fail(f"{disk.path('encrypted')} is not true")


def class_encrypts(storage: Resource) -> Verdict:
    """docs: github.com/kubernetes-sigs/aws-ebs-csi-driver, parameters."""
    view = storage.view
    if view.text("provisioner") not in EBS_DRIVERS:
        return PASS
    parameters = view.mapping("parameters")
    said = parameters.text("encrypted") if parameters else None
    return PASS if said == "true" else fail("parameters.encrypted is not 'true': volumes of pods are made without encryption")


_DISKS: Final = ("rootBlockDevice", "ebsBlockDevices")

RULES: Final = (
    Rule(
        id="R71",
        name="volume-encryption",
        title="Volumes of nodes are encrypted",
        severity=Severity.HIGH,
        controls=("8.24", "8.10"),
        remedy="set encrypted (and a key that lets AWSServiceRoleForAutoScaling in) for each volume of the launch template",
        link=links.VOLUME_ENCRYPTION,
        checks=(Check(types=(STORAGE_CLASS,), properties=("provisioner", "parameters"), judge=class_encrypts),),
        relations=(
            Relation(
                reads={
                    TEMPLATE: ("blockDeviceMappings",),
                    CONFIGURATION: _DISKS,
                    INSTANCE: _DISKS,
                    VOLUME: ("encrypted",),
                    NODE_GROUP: ("launchTemplate",),
                    BY_DEFAULT: ("enabled",),
                    **READS,
                },
                judge=encrypted,
            ),
        ),
    ),
)
