"""The two kinds that AWS Load Balancer Controller reads at its start, in the form of its version 3 (its documentation,
specification of TargetGroupBinding): the one that the stack uses, checked by the API server, and one that it only lists.
"""

from __future__ import annotations

from typing import Any, cast

import pulumi
from pulumi_kubernetes.apiextensions.v1 import (
    CustomResourceDefinition,
    CustomResourceDefinitionNamesArgs,
    CustomResourceDefinitionSpecArgs,
    CustomResourceDefinitionVersionArgs,
    CustomResourceSubresourcesArgs,
    CustomResourceValidationArgs,
    JSONSchemaPropsArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.kubernetes.cluster_parts import labels_of

GROUP, VERSION = "elbv2.k8s.aws", "v1beta1"

Schema = dict[str, Any]  # in the words of the API, which reach it as they are


def _object(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


STRING: Schema = {"type": "string"}
NUMBER_OR_NAME: Schema = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
ANYTHING: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


SELECTOR = _object(
    {
        "matchLabels": {"type": "object", "additionalProperties": STRING},
        "matchExpressions": _list(
            _object({"key": STRING, "operator": STRING, "values": _list(STRING)}, required=("key", "operator"))
        ),
    }
)
NETWORKING = _object(
    {
        "ingress": _list(
            _object(
                {
                    "from": _list(
                        _object(
                            {
                                "ipBlock": _object({"cidr": STRING}, required=("cidr",)),
                                "securityGroup": _object({"groupID": STRING}, required=("groupID",)),
                            }
                        )
                    ),
                    "ports": _list(_object({"port": NUMBER_OR_NAME, "protocol": _one_of("TCP", "UDP")})),
                },
                required=("from", "ports"),
            )
        )
    }
)
BINDING = _object(
    {
        "serviceRef": _object({"name": STRING, "port": NUMBER_OR_NAME}, required=("name", "port")),
        "targetGroupARN": STRING,
        "targetGroupName": STRING,
        "targetGroupProtocol": _one_of("HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"),
        "targetType": _one_of("instance", "ip"),
        "ipAddressType": _one_of("ipv4", "ipv6"),
        "vpcID": STRING,
        "multiClusterTargetGroup": {"type": "boolean"},
        "iamRoleArnToAssume": STRING,
        "assumeRoleExternalId": STRING,
        "nodeSelector": SELECTOR,
        "networking": NETWORKING,
    },
    required=("serviceRef",),
)
STATUS = _object({"observedGeneration": {"type": "integer", "format": "int64"}})


def target_group_bindings(name: str, opts: pulumi.ResourceOptions) -> CustomResourceDefinition:
    return _kind(name, "TargetGroupBinding", "targetgroupbindings", "Namespaced", BINDING, opts, STATUS)


def ingress_class_params(name: str, opts: pulumi.ResourceOptions) -> CustomResourceDefinition:
    """The controller does not start without it. Nobody makes one here."""
    return _kind(name, "IngressClassParams", "ingressclassparams", "Cluster", ANYTHING, opts)


def _kind(
    name: str, kind: str, plural: str, scope: str, spec: Schema, opts: pulumi.ResourceOptions, status: Schema | None = None
) -> CustomResourceDefinition:
    schema = _object({"spec": spec, **({"status": status} if status else {})})
    return CustomResourceDefinition(
        name,
        metadata=ObjectMetaArgs(name=f"{plural}.{GROUP}", labels=labels_of("aws-load-balancer-controller")),
        spec=CustomResourceDefinitionSpecArgs(
            group=GROUP,
            scope=scope,
            names=CustomResourceDefinitionNamesArgs(kind=kind, list_kind=f"{kind}List", plural=plural, singular=kind.lower()),
            versions=[
                CustomResourceDefinitionVersionArgs(
                    name=VERSION,
                    served=True,
                    storage=True,
                    schema=CustomResourceValidationArgs(open_apiv3_schema=cast("JSONSchemaPropsArgs", schema)),
                    subresources=CustomResourceSubresourcesArgs(status={}) if status else None,
                )
            ],
        ),
        opts=opts,
    )
