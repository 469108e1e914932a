"""CIDR blocks: well-formed on their own, and of subnets within their VPC and beside one another."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from plugin.changes import property_path
from plugin.values import UNKNOWN, is_secret

from aws.world import Record

if TYPE_CHECKING:
    from aws.checks import Failure

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"
_CIDR = re.compile(r"cidr(Blocks?|Ipv[46]|s)?$|[cC]idrBlocks?$|[cC]idrs$|Cidr$|^cidrIpv[46]$")


def failures(given: Mapping[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[Failure]:
    """Blocks that are none, wherever a property is called one."""
    from aws.checks import Failure

    for name, value in given.items():
        if is_secret(value) or value is None:
            continue
        where = (*path, name)
        if isinstance(value, Mapping):
            yield from failures(value, where)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Mapping):
                    yield from failures(item, (*where, index))
                elif isinstance(item, str) and _CIDR.search(name) and (reason := problem(item)):
                    yield Failure(property=property_path((*where, index)), reason=reason)
        elif isinstance(value, str) and _CIDR.search(name) and (reason := problem(value)):
            yield Failure(property=property_path(where), reason=reason)


def problem(text: str) -> str | None:
    if UNKNOWN in text or not text:
        return None
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        return f'"{text}" is not a valid CIDR block: {error}'
    return None


def conflict(vpc_cidrs: Iterable[str], cidr: str, others: Iterable[Record]) -> str | None:
    """Why AWS would refuse a subnet of the block ``cidr`` in a VPC, in its words."""
    block = ipaddress.ip_network(cidr)
    allowed = [ipaddress.ip_network(text) for text in vpc_cidrs]
    if allowed and not any(block.version == net.version and block.subnet_of(net) for net in allowed):  # type: ignore[arg-type]
        return f"InvalidSubnet.Range: The CIDR '{cidr}' is invalid."
    for other in others:
        taken = other.inputs.get("cidrBlock")
        if isinstance(taken, str) and ipaddress.ip_network(taken).overlaps(block):
            return f"InvalidSubnet.Conflict: The CIDR '{cidr}' conflicts with another subnet ({other.id}: {taken})"
    return None
