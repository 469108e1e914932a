"""Which part of a VPC's network is whose. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

# A load balancer takes up to 100 addresses over its subnets, and AWS wants 8 free in each: a /24 of a /16 is ample.
PUBLIC_BITS = 8


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Networks by zone."""

    public: tuple[str, ...]
    private: tuple[str, ...]


def layout(cidr: str, zones: int) -> Layout:
    """A quarter of the network a zone for what is private, and the public subnets in the last quarter: of 10.0.0.0/16,
    10.0.0.0/18, 10.0.64.0/18 … and 10.0.192.0/24, 10.0.193.0/24 …. With two zones a quarter stays free, for a third."""
    network = ipaddress.IPv4Network(cidr)
    *quarters, last = network.subnets(prefixlen_diff=2)
    if zones > len(quarters):
        raise ValueError(f"{zones} zones; a network is laid out for at most {len(quarters)}")
    edge = list(last.subnets(new_prefix=network.prefixlen + PUBLIC_BITS))
    return Layout(
        public=tuple(str(subnet) for subnet in edge[:zones]), private=tuple(str(subnet) for subnet in quarters[:zones])
    )
