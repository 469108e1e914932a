"""Where a region lies: its partition, its names' suffix, its zones."""

from __future__ import annotations

import re
from dataclasses import dataclass

ACCOUNT = "123456789012"
MOMENT_FAR = "2126-01-01T00:00:00Z"  # when what expires does: no run of a test is so long
ZONES = ("a", "b", "c")
_REGION = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx|cn|us-gov)-(central|(?:north|south)?(?:east|west)?)-\d")


class UnknownRegionError(Exception):
    pass


@dataclass(frozen=True, kw_only=True)
class Region:
    name: str

    def __post_init__(self) -> None:
        if not _REGION.fullmatch(self.name):
            raise UnknownRegionError(f"Invalid AWS Region: {self.name}")

    @property
    def partition(self) -> str:
        return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(self.name.rpartition("-")[0].rpartition("-")[0], "aws")

    @property
    def dns_suffix(self) -> str:
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    @property
    def reverse_dns_prefix(self) -> str:
        return "cn.com.amazonaws" if self.partition == "aws-cn" else "com.amazonaws"

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(f"{self.name}{letter}" for letter in ZONES)

    @property
    def zone_ids(self) -> tuple[str, ...]:
        """``eu-central-1`` -> ``euc1-az1``."""
        area, *middle, number = self.name.split("-")
        short = area + "".join(word[0] for word in re.findall("gov|north|south|east|west|central", "".join(middle))) + number
        return tuple(f"{short}-az{index + 1}" for index in range(len(ZONES)))
