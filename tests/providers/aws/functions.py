"""Answers to the SDK's functions: by the types of their results, and what the caller's region and world really hold."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aws import synthesis
from aws.identifiers import Identity, a_uuid, arn, arn_service, digest
from aws.partitions import ACCOUNT, MOMENT_FAR, Region
from aws.sdk import Function, Resource, Sdk
from aws.world import Record, World

DEPLOYER = "deployer"  # the role that whoever runs a test has taken on
SECRET = {"aws:ecr/getAuthorizationToken:getAuthorizationToken": ("authorizationToken", "password")}


class NotFoundError(Exception):
    """AWS has nothing that was asked for."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    region: Region
    world: World
    default_tags: Mapping[str, str]


def answer(sdk: Sdk, token: str, arguments: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
    function = sdk.function(token)
    region = Region(name=str(arguments.get("region") or caller.region.name))
    caller = Caller(region=region, world=caller.world, default_tags=caller.default_tags)
    given = {key: value for key, value in arguments.items() if value is not None}
    found = _generic(sdk, function, given, caller)
    known = _KNOWN.get(token.rpartition(":")[2])
    existing = _existing(function, given, caller)
    special = known(given, caller, found) if known else {}
    result = {**found, **existing, **special}
    return {key: value for key, value in result.items() if key in function.outputs}


def _generic(sdk: Sdk, function: Function, given: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
    noun = function.token.rpartition(":")[2].removeprefix("get")
    pseudo = Resource(
        token=function.token, module=function.module, noun=noun, inputs=function.inputs, outputs=function.outputs, example=""
    )
    name = str(given.get("name") or given.get("id") or noun.lower())
    seed = digest(function.token, repr(sorted(given.items(), key=str)))
    number = str(given.get("id") or given.get("name") or seed[:17])
    identity = Identity(id=number, arn=arn(caller.region, arn_service(pseudo), f"{noun.lower()}/{name}"), name=name, seed=seed)
    setting = synthesis.setting_for(pseudo, identity, caller.region, given, caller.default_tags, lambda _: None)
    found: dict[str, Any] = {}
    for key, declared in function.outputs.items():
        if key in given:
            found[key] = given[key]
        elif key == "tags":
            found[key] = {}
        elif declared.required:
            found[key] = synthesis.value(sdk, declared, setting, ("",), sample=key not in function.inputs)
    return found


def _existing(function: Function, given: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
    """What the world has under the id or name that was asked for, whatever its kind."""
    noun = function.token.rpartition(":")[2].removeprefix("get")
    wanted = [str(value) for value in given.values() if isinstance(value, str)]
    for record in caller.world.records():
        if record.token.endswith(f":{noun}") and (set(wanted) & {record.id, record.arn, record.name}):
            return {**record.outputs, "id": record.id}
    return {}


def _identity(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    session = f"arn:{caller.region.partition}:sts::{ACCOUNT}:assumed-role/{DEPLOYER}/tests"
    return {"accountId": ACCOUNT, "arn": session, "id": ACCOUNT, "userId": "AROATESTS:tests"}


def _session(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    """The role behind a session of it; of anybody else, themselves."""
    asked = str(given.get("arn") or "")
    if ":assumed-role/" not in asked:
        return {"id": asked, "issuerArn": asked, "issuerName": "", "issuerId": "", "sessionName": ""}
    _, name, session = asked.rpartition(":")[2].split("/", 2)
    role = f"arn:{caller.region.partition}:iam::{ACCOUNT}:role/{name}"
    return {"id": asked, "issuerArn": role, "issuerName": name, "issuerId": "AROATESTS", "sessionName": session}


def _region(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    region = caller.region
    return {
        "name": region.name,
        "region": region.name,
        "id": region.name,
        "description": region.name,
        "endpoint": f"ec2.{region.name}.{region.dns_suffix}",
    }


def _partition(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    region = caller.region
    return {
        "partition": region.partition,
        "id": region.partition,
        "dnsSuffix": region.dns_suffix,
        "reverseDnsPrefix": region.reverse_dns_prefix,
    }


def _zones(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    left = set(given.get("excludeNames") or ())
    pairs = [pair for pair in zip(caller.region.zones, caller.region.zone_ids, strict=True) if pair[0] not in left]
    return {
        "id": caller.region.name,
        "names": [name for name, _ in pairs],
        "zoneIds": [number for _, number in pairs],
        "groupNames": [caller.region.name],
    }


def _zone(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    """An availability zone."""
    zones = dict(zip(caller.region.zones, caller.region.zone_ids, strict=True))
    name = str(given.get("name") or next((key for key, number in zones.items() if number == given.get("zoneId")), ""))
    if name not in zones:
        raise NotFoundError(f"no matching EC2 Availability Zone found: {name or given.get('zoneId')}")
    return {"id": name, "name": name, "zoneId": zones[name], "region": caller.region.name, "nameSuffix": name[-1]}


def _hosted_zone(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    """The domain that was asked for is delegated: a test that wants none says so by an override."""
    name = str(given.get("name") or "example.com").rstrip(".")
    number = str(given.get("zoneId") or f"Z{digest(name)[:19].upper()}")
    for record in caller.world.records():
        if record.token == "aws:route53/zone:Zone" and (record.id == number or record.name.rstrip(".") == name):
            number, name = record.id, record.name.rstrip(".")
    return {"id": number, "zoneId": number, "name": name, "arn": arn(caller.region, "route53", f"hostedzone/{number}")}


def _parameter(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    """Public parameters name images and versions."""
    name = str(given.get("name") or "")
    value = (
        f"ami-{digest(name, caller.region.name)[:17]}"
        if "image_id" in name or "ami" in name
        else f"value-of{name.replace('/', '-')}"
    )
    if "release_version" in name:
        value = "1.33.5-20260101"
    return {
        "id": name,
        "value": value,
        "insecureValue": value,
        "type": "String",
        "version": 1,
        "arn": arn(caller.region, "ssm", f"parameter{name if name.startswith('/') else '/' + name}"),
    }


def _image(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    number = f"ami-{digest(repr(given), caller.region.name)[:17]}"
    return {"id": number, "imageId": number, "architecture": "x86_64", "state": "available", "rootDeviceName": "/dev/xvda"}


def _ecr_token(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    password = base64.b64encode(b"of the stand-in alone").decode()
    return {
        "userName": "AWS",
        "password": password,
        "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
        "expiresAt": MOMENT_FAR,
        "id": caller.region.name,
        "proxyEndpoint": f"https://{ACCOUNT}.dkr.ecr.{caller.region.name}.{caller.region.dns_suffix}",
    }


def _cluster_token(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": given.get("name"), "token": "k8s-aws-v1." + base64.b64encode(str(given.get("name")).encode()).decode()}


def _elb_account(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    number = "054676820928"  # of eu-central-1; one is as good as another here
    return {"id": number, "arn": f"arn:{caller.region.partition}:iam::{number}:root"}


def _subnets(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the world, or two of a VPC that somebody brings."""
    wanted = next((item.get("values", [""])[0] for item in given.get("filters") or () if item.get("name") == "vpc-id"), "")
    ids = [item.id for item in _of(caller.world.records(), "aws:ec2/subnet:Subnet") if item.inputs.get("vpcId") == wanted]
    return {"ids": ids or [f"subnet-{digest(wanted, str(index))[:17]}" for index in range(2)], "id": caller.region.name}


def _vpc(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    number = str(given.get("id") or f"vpc-{digest(repr(given))[:17]}")
    record = next((item for item in _of(caller.world.records(), "aws:ec2/vpc:Vpc") if item.id == number), None)
    if record:
        return {**record.outputs, "id": number}
    return {
        "id": number,
        "cidrBlock": given.get("cidrBlock") or "10.0.0.0/16",
        "enableDnsHostnames": True,
        "enableDnsSupport": True,
        "state": "available",
        "arn": arn(caller.region, "ec2", f"vpc/{number}"),
    }


def _subnet(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    number = str(given.get("id") or f"subnet-{digest(repr(given))[:17]}")
    record = next((item for item in _of(caller.world.records(), "aws:ec2/subnet:Subnet") if item.id == number), None)
    if record:
        return {**record.outputs, "id": number}
    index = int(digest(number)[:4], 16)
    block = list(ipaddress.ip_network("10.0.0.0/16").subnets(new_prefix=24))[index % 256]
    place = index % len(caller.region.zones)
    return {
        "id": number,
        "cidrBlock": str(block),
        "availabilityZone": caller.region.zones[place],
        "availabilityZoneId": caller.region.zone_ids[place],
        "availableIpAddressCount": 251,
        "arn": arn(caller.region, "ec2", f"subnet/{number}"),
    }


def _key(given: Mapping[str, Any], caller: Caller, found: Mapping[str, Any]) -> dict[str, Any]:
    asked = str(given.get("keyId") or "")
    number = asked.rpartition("/")[2] if asked.startswith("arn:") else asked
    number = a_uuid(number) if number.startswith("alias") else number
    return {"id": number, "keyId": asked, "arn": arn(caller.region, "kms", f"key/{number}"), "enabled": True}


def _of(records: Iterable[Record], token: str) -> Iterable[Record]:
    return (record for record in records if record.token == token)


_Known = Callable[[Mapping[str, Any], Caller, Mapping[str, Any]], dict[str, Any]]
_KNOWN: Mapping[str, _Known] = {
    "getAmi": _image,
    "getAuthorizationToken": _ecr_token,
    "getAvailabilityZone": _zone,
    "getAvailabilityZones": _zones,
    "getCallerIdentity": _identity,
    "getClusterAuth": _cluster_token,
    "getKey": _key,
    "getParameter": _parameter,
    "getPartition": _partition,
    "getRegion": _region,
    "getServiceAccount": _elb_account,
    "getSessionContext": _session,
    "getSubnet": _subnet,
    "getSubnets": _subnets,
    "getVpc": _vpc,
    "getZone": _hosted_zone,
}
