"""Strings that AWS would have computed, by what their names say they are."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aws.authority import CERTIFICATE
from aws.identifiers import Identity, a_uuid, arn, digest
from aws.partitions import ACCOUNT, Region
from aws.sdk import Property

MOMENT = "2026-01-01T00:00:00Z"  # when everything was created: a clock would make two runs differ
# Opaque ids by what they are of: vpcId, subnetIds, networkInterfaceId …
_PREFIXES: Mapping[str, str] = {
    "allocation": "eipalloc", "association": "eipassoc", "attachment": "eni-attach", "cluster security group": "sg",
    "default network acl": "acl", "default route table": "rtb", "default security group": "sg", "dhcp options": "dopt",
    "image": "ami", "instance": "i", "internet gateway": "igw", "launch template": "lt", "main route table": "rtb",
    "nat gateway": "nat", "network acl": "acl", "network interface": "eni", "prefix list": "pl", "route table": "rtb",
    "security group": "sg", "security group rule": "sgr", "snapshot": "snap", "subnet": "subnet", "volume": "vol", "vpc": "vpc",
    "vpc endpoint": "vpce",
}  # fmt: skip
# Canonical hosted zones of load balancers; others are made up.
_BALANCER_ZONES = {"eu-central-1": "Z215JYRZR1TBD5", "us-east-1": "Z35SXDOTRQ7X7K", "eu-west-1": "Z32O12XQLNTSW2"}
_STATES = {"ec2": "available", "acm": "PENDING_VALIDATION"}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where a resource is made up: what is known round it."""

    region: Region
    identity: Identity
    service: str  # as in ARNs
    noun: str
    inputs: Mapping[str, Any]
    default_tags: Mapping[str, str]
    lookup: Callable[[str], Mapping[str, Any] | None]  # outputs of what exists by id or ARN

    @property
    def seed(self) -> str:
        return self.identity.seed


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


def text(declared: Property, setting: Setting, path: tuple[str, ...], default: str | None, sample: bool) -> str:
    """A string by what its name says it is; the first rule that fits."""
    name, region = declared.name, setting.region
    lower, words = name.lower(), _words(name)
    made_up = digest(setting.seed, *path, name)
    suffix = region.dns_suffix
    holder = _words(path[-1]) if path and path[-1] else ""
    if lower == "id":
        return made_up[:17] if path else setting.identity.id
    if lower in ("arn", "arns"):
        return (
            setting.identity.arn
            if len(path) <= 1
            else arn(region, setting.service, f"{holder.replace(' ', '-')}/{made_up[:12]}")
        )
    if lower.endswith(("accountid", "ownerid", "registryid")) or lower in ("owner", "account"):
        return ACCOUNT
    if lower in ("hostedzoneid", "canonicalhostedzoneid", "zoneid"):
        return _BALANCER_ZONES.get(region.name, f"Z{made_up[:13].upper()}")
    if lower == "availabilityzoneid":
        return region.zone_ids[int(made_up[:4], 16) % len(region.zone_ids)]
    if lower.endswith("availabilityzone"):
        return region.zones[int(made_up[:4], 16) % len(region.zones)]
    if lower.endswith("region"):
        return region.name
    if lower.endswith("prefix"):
        return ""
    if lower.endswith("arn"):
        return _some_arn(words.removesuffix(" arn"), setting, made_up)
    if words.endswith(" id"):
        prefix = _PREFIXES.get(words.removesuffix(" id"))
        return f"{prefix}-{made_up[:17]}" if prefix else a_uuid(made_up) if "kms" in words else made_up[:20]
    if lower == "policy":
        return json.dumps({"Version": "2012-10-17", "Statement": []})
    if lower in ("name", "bucket") and len(path) <= 1:
        return setting.identity.name
    if lower == "cidrblock":
        return default if default and "/" in default else "10.100.0.0/16"
    if lower == "domain" and setting.noun == "Eip":
        return "vpc"
    if not sample:
        return default or ("1" if lower.endswith("version") else "")
    if "issuer" in lower or holder == "oidc":
        return f"https://oidc.eks.{region.name}.{suffix}/id/{made_up[:32].upper()}"
    if "certificateauthorit" in "".join(path).lower().replace(" ", "") or lower.endswith(("certificate", "cacertificate")):
        return base64.b64encode(CERTIFICATE.encode()).decode()
    if "ipv6" in lower:
        return f"2001:db8:{made_up[:4]}::/56" if "cidr" in lower else f"2001:db8:{made_up[:4]}::1"
    if "cidr" in lower:
        return default if default and "/" in default else "10.100.0.0/16"
    if re.search("publicip(address)?$", lower) or lower.endswith("ipaddress") or lower == "ip":
        public = "public" in lower or setting.noun == "Eip"
        return _address("203.0.113.0/24" if public else "10.0.0.0/16", made_up)
    if "privateip" in lower or lower in ("address", "ipaddress"):
        return _address("10.0.0.0/16", made_up) if "ip" in lower else _host(setting, made_up)
    if lower.endswith("url") or lower in ("uri", "apiendpoint", "proxyendpoint"):
        return _url(setting, made_up)
    if "endpoint" in lower:
        return (
            f"https://{made_up[:32].upper()}.gr7.{region.name}.eks.{suffix}"
            if setting.service == "eks"
            else _host(setting, made_up)
        )
    if "dnsname" in lower or "domainname" in lower or "hostname" in lower or lower.endswith(("dns", "domain")):
        return _host(setting, made_up)
    if lower.endswith("fingerprint") or "digest" in lower or "checksum" in lower:
        return made_up[:40]
    if re.search(r"(created|creation|launch|modified|updated|expir|issued|before|after|time|date|at)\w*$", lower) and re.search(
        r"(At|Date|Time|Timestamp|On|Before|After)$", name
    ):
        return MOMENT
    if lower in ("status", "state"):
        return default or _STATES.get(setting.service, "ACTIVE")
    if lower == "name":
        return setting.identity.name
    if lower.endswith("version"):
        return default or "1"
    return default or ("" if path and len(path) > 1 else f"{words.replace(' ', '-')}-{made_up[:8]}")


def _some_arn(what: str, setting: Setting, made_up: str) -> str:
    if "kms" in what or what.endswith("key"):
        return arn(setting.region, "kms", f"key/{a_uuid(made_up)}")
    if "role" in what:
        return arn(setting.region, "iam", f"role/{what.replace(' ', '-')}-{made_up[:8]}")
    return arn(setting.region, setting.service, f"{what.replace(' ', '-')}/{made_up[:12]}")


def _address(network: str, made_up: str) -> str:
    block = ipaddress.ip_network(network)
    return str(block[1 + int(made_up[:8], 16) % (block.num_addresses - 2)])


def _host(setting: Setting, made_up: str) -> str:
    name, region, suffix = setting.identity.name.lower(), setting.region.name, setting.region.dns_suffix
    if setting.service == "s3":
        return f"{name}.s3.{region}.{suffix}"
    if setting.service == "elasticloadbalancing":
        internal = "internal-" if setting.inputs.get("internal") else ""
        return f"{internal}{name}-{int(made_up[:8], 16)}.{region}.elb.{suffix}"
    if setting.service == "memorydb":
        return f"clustercfg.{name}.{made_up[:6]}.memorydb.{region}.{suffix}"
    if setting.service == "ecr":
        return f"{ACCOUNT}.dkr.ecr.{region}.{suffix}"
    return f"{name}.{made_up[:12]}.{setting.service}.{region}.{suffix}"


def _url(setting: Setting, made_up: str) -> str:
    if setting.service == "ecr":  # the one "URL" that has no scheme
        return f"{ACCOUNT}.dkr.ecr.{setting.region.name}.{setting.region.dns_suffix}/{setting.identity.name}"
    if setting.service == "sqs":
        return f"https://sqs.{setting.region.name}.{setting.region.dns_suffix}/{ACCOUNT}/{setting.identity.name}"
    return f"https://{_host(setting, made_up)}"
