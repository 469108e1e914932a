"""Terraform's names for what pulumi-aws bridges from Terraform's provider: of types, and of the properties of a resource.

The bridge names a resource type after its module, writes attributes in camel case, puts lists of blocks in the plural, and
shows a block that may stand once as a mapping. This is the way back. Where a rule of spelling does not lead there, a table
does; a module that is in neither is not converted, and the comparison says so.
"""

from __future__ import annotations

import re
from typing import Final

# Modules of pulumi-aws, and how the names of their types begin in Terraform.
MODULES: Final = {
    "acm": "acm_",
    "appautoscaling": "appautoscaling_",
    "backup": "backup_",
    "budgets": "budgets_",
    "cloudtrail": "cloudtrail_",
    "cloudwatch": "cloudwatch_",
    "ec2": "",
    "ecr": "ecr_",
    "ecs": "ecs_",
    "eks": "eks_",
    "iam": "iam_",
    "kms": "kms_",
    "lb": "lb_",
    "memorydb": "memorydb_",
    "route53": "route53_",
    "s3": "s3_",
    "secretsmanager": "secretsmanager_",
    "servicediscovery": "service_discovery_",
    "sns": "sns_",
    "sqs": "sqs_",
    "vpc": "vpc_",
    "wafv2": "wafv2_",
}
TYPES: Final = {
    "aws:cloudtrail/trail:Trail": "aws_cloudtrail",
    "aws:lb/loadBalancer:LoadBalancer": "aws_lb",
}
# Lists of blocks that Terraform itself names in the plural, so that the bridge did not have to.
PLURAL_BLOCKS: Final = frozenset(
    {"block_device_mappings", "dimensions", "dns_records", "network_interfaces", "redacted_fields", "tag_specifications"}
)
# Lists of plain values that Terraform names in the singular; other lists of plain values are plural there as well.
SINGULAR_LISTS: Final = {"not_starts_withs": "not_starts_with", "starts_withs": "starts_with", "ends_withs": "ends_with"}
# Mappings whose keys are the user's own, not attributes.
MAPS: Final = frozenset({"dimensions", "labels", "tags"})
TOKEN: Final = re.compile(r"aws:(?P<module>\w+)/(?P<name>\w+):\w+")


def terraform_type(pulumi_type: str) -> str | None:
    """``aws:kms/key:Key`` -> ``aws_kms_key``; None for what is not bridged from Terraform, or not known to be."""
    if pulumi_type in TYPES:
        return TYPES[pulumi_type]
    token = TOKEN.fullmatch(pulumi_type)
    if token is None or token["module"] not in MODULES:
        return None
    return f"aws_{MODULES[token['module']]}{snake(token['name'])}"


def snake(name: str) -> str:
    """``cidrIpv4`` -> ``cidr_ipv4``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def block_name(name: str) -> str:
    """Terraform's name of a list of blocks: ``metric_queries`` -> ``metric_query``."""
    if name in PLURAL_BLOCKS:
        return name
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    if name.endswith("aliases"):
        return name[:-2]
    return name[:-1] if name.endswith("s") and not name.endswith(("ss", "gress")) else name
