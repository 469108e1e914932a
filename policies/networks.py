"""Is a list of networks somebody, or everybody?"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Addresses that the internet does not route to a VPC (RFC 6890): a network within one of them is nobody outside.
PRIVATE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
# Nobody was ever given more: a /8 of IPv4 (RFC 790), a /16 of IPv6. What is larger is the world, in one piece or in several.
LARGEST_OF_ONE_OWNER: Final = {4: 2**24, 6: 2**112}


def is_world(networks: Iterable[Network]) -> bool:
    """Whether ``networks`` together hold more addresses of the internet than any one owner has. Two halves are the world."""
    public = [network for network in networks if not is_private(network)]
    for version, largest in LARGEST_OF_ONE_OWNER.items():
        # Written out by version, as networks of both cannot be collapsed together.
        of_version = ipaddress.collapse_addresses([network for network in public if network.version == version])  # type: ignore[type-var]
        if sum(network.num_addresses for network in of_version) > largest:
            return True
    return False


def is_private(network: Network) -> bool:
    return any(network.version == each.version and network.subnet_of(each) for each in PRIVATE)  # type: ignore[arg-type]
