"""Which subnets lead to the internet: by their route table's routes, as AWS itself tells public from private ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from policies.relations import means, meant, texts_of
from policies.resource import Resource, Stack
from policies.values import UNKNOWN

VPCS: Final = ("aws:ec2/vpc:Vpc", "aws:ec2/defaultVpc:DefaultVpc")
SUBNET: Final = "aws:ec2/subnet:Subnet"
DEFAULT_SUBNET: Final = "aws:ec2/defaultSubnet:DefaultSubnet"
SUBNETS: Final = (SUBNET, DEFAULT_SUBNET)
ROUTE: Final = "aws:ec2/route:Route"
TABLE: Final = "aws:ec2/routeTable:RouteTable"
DEFAULT_TABLE: Final = "aws:ec2/defaultRouteTable:DefaultRouteTable"
TABLES: Final = (TABLE, DEFAULT_TABLE)
ASSOCIATION: Final = "aws:ec2/routeTableAssociation:RouteTableAssociation"
MAIN_ASSOCIATION: Final = "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation"
INTERNET_GATEWAY: Final = "aws:ec2/internetGateway:InternetGateway"
INTERNET_GATEWAY_PREFIX: Final = "igw-"
READS: Final = {
    ROUTE: ("routeTableId", "gatewayId"),
    TABLE: ("routes",),
    DEFAULT_TABLE: ("routes",),
    ASSOCIATION: ("routeTableId", "subnetId"),
    MAIN_ASSOCIATION: ("routeTableId", "vpcId"),
}


def is_public(stack: Stack, subnet: Resource) -> bool | None:
    """None: neither values nor edges tell. Raises what a :class:`policies.resource.View` raises."""
    if subnet.type == DEFAULT_SUBNET:  # AWS makes these with a way to the internet
        return True
    links = [(link, means(link, "subnetId", subnet)) for link in stack.of_type(ASSOCIATION)]
    own = [link for link, ours in links if ours]
    if own:
        return _any(_association_leads_out(stack, link) for link in own)
    return None if any(ours is None for _link, ours in links) else _main_leads_out(stack, subnet)


def _any(answers: Iterable[bool | None]) -> bool | None:
    """True where one is; else None where one is not known."""
    given = list(answers)
    return True if True in given else None if None in given else False


def _association_leads_out(stack: Stack, link: Resource) -> bool | None:
    tables = meant(stack, link, "routeTableId", TABLES)
    return _any(_table_leads_out(stack, table) for table in tables) if tables else None


def _main_leads_out(stack: Stack, subnet: Resource) -> bool | None:
    """A subnet that is associated with no table has its network's main one, which begins without a way out."""
    networks = meant(stack, subnet, "vpcId", VPCS)
    if not networks:
        return None
    answers: list[bool | None] = []
    for network in networks:
        answers += [
            _association_leads_out(stack, link)
            for link in stack.of_type(MAIN_ASSOCIATION)
            if means(link, "vpcId", network) is not False
        ]
        answers += [
            _table_leads_out(stack, table)
            for table in stack.of_type(DEFAULT_TABLE)
            if _is_main_of(table, "defaultRouteTableId", network)
        ]
        answers += [
            _route_leads_out(stack, route) for route in stack.of_type(ROUTE) if _is_main_of(route, "routeTableId", network)
        ]
    return _any(answers)


def _is_main_of(resource: Resource, name: str, network: Resource) -> bool:
    """A network is no table: what was computed from one is its main table's identifier."""
    texts = texts_of([network.view.raw("mainRouteTableId"), network.view.raw("defaultRouteTableId")])
    return network.urn in resource.property_dependencies.get(name, ()) or bool(texts & texts_of(resource.view.raw(name)))


def _table_leads_out(stack: Stack, table: Resource) -> bool | None:
    """Raises what a :class:`policies.resource.View` raises."""
    if table.view.raw("routes") is not UNKNOWN:  # as it is where nothing is said, until AWS tells what others entered
        table.view.mappings("routes")
    answers: list[bool | None] = [_names_gateway(stack, table, "routes") is True]
    for route in stack.of_type(ROUTE):
        ours = means(route, "routeTableId", table)
        if ours is not False:
            leads_out = _route_leads_out(stack, route)
            # Whose route it is matters where it leads out.
            answers.append(leads_out if ours or leads_out is False else None)
    return _any(answers)


def _route_leads_out(stack: Stack, route: Resource) -> bool | None:
    return _names_gateway(stack, route, "gatewayId")


def _names_gateway(stack: Stack, resource: Resource, name: str) -> bool | None:
    if any(text.startswith(INTERNET_GATEWAY_PREFIX) for text in texts_of(resource.view.raw(name))):
        return True
    return _any(means(resource, name, gateway) for gateway in stack.of_type(INTERNET_GATEWAY))
