"""The checks by name, and their way through one place."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from app.doctor.finding import Examination, Finding, without
from app.doctor.place import SERVICES, Place, Service

Look = Callable[[Place], Awaitable[list[Finding]]]


@dataclass(frozen=True, slots=True)
class Check:
    """``look`` of the module ``app.doctor.checks.<name>`` in the places ``of``; ``bare``: it needs no valid settings."""

    name: str
    about: str
    of: tuple[Service, ...]
    bare: bool = False


_WITH_REDIS: Final[tuple[Service, ...]] = ("gateway", "worker", "transport")
_ASKING: Final[tuple[Service, ...]] = ("gateway", "worker")
CHECKS: Final = (
    Check("settings", "the process's settings, and which are missing", SERVICES, bare=True),
    Check("ports", "who listens on the process's ports", SERVICES),
    Check("readiness", "what the process says of itself", SERVICES),
    Check("redis", "time to answer and to write, memory, durability, version", _WITH_REDIS),
    Check("queue", "backlog and its age, leases, workers, dead letters", _WITH_REDIS),
    Check("inference", "how fast the model answers", ("gateway", "worker", "inference")),
    Check("network", "the way to each platform", _WITH_REDIS),
    Check("tokens", "whether each platform takes the credentials", _WITH_REDIS),
    Check("signatures", "whether what is signed with the secrets is let in, and previous secrets", ("gateway",)),
    Check("public", "the public address, redirect URIs", ("gateway",)),
    Check("identity", "the identity provider's discovery and keys", ("gateway",)),
    Check("model", "files, integrity, memory, provider", ("inference",)),
    Check("clock", "this clock against Redis' and the platforms', time zones, NTP", SERVICES, bare=True),
    Check("certificate", "validity, names, key, chain", ("gateway",)),
    Check("access", "the files of tenants and roles", _ASKING),
    Check("audit", "the audit log's files and heads", _WITH_REDIS),
    Check("disk", "room, inodes, rights", SERVICES, bare=True),
    Check("versions", "Python, OpenSSL, what is installed against what is locked", SERVICES, bare=True),
)
NAMES: Final = tuple(check.name for check in CHECKS)


def chosen(place: Place, only: tuple[str, ...] = (), *, alone: bool = False) -> tuple[Check, ...]:
    """Those for ``place``, of the names ``only`` where there are any. ``alone``: the process itself is not in this place, so
    what would be asked of it is left out."""
    of_process = ("ports", "readiness", *(["inference"] if place.service == "inference" else []))
    return tuple(
        check
        for check in CHECKS
        if place.service in check.of
        and (check.name in only or not only)
        and (check.bare or place.settings is not None)
        and not (alone and check.name in of_process)
    )


async def examine(place: Place, only: tuple[str, ...] = (), name: str = "", *, alone: bool = False) -> Examination:
    """One check after another, so that none slows another down; what one of them cannot do stops no other."""
    findings: list[Finding] = []
    unseen: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for check in chosen(place, only, alone=alone):
        try:
            look = cast(Look, importlib.import_module(f"app.doctor.checks.{check.name}").look)
            findings += await look(place)
        except ModuleNotFoundError as missing:
            if (missing.name or "").partition(".")[0] == "app":
                unseen[check.name] = f"{missing.name} is not here"
            else:
                left_out[check.name] = f"no {missing.name} here"
        except Exception as failure:  # a defect of a check; its text is not shown, as it may hold anything
            unseen[check.name] = f"{type(failure).__name__} in the doctor itself"
    return Examination(
        place=name or place.service,
        findings=tuple(without(_all_secrets(place), finding) for finding in findings),
        unseen=unseen,
        left_out=left_out,
    )


def _all_secrets(place: Place) -> frozenset[str]:
    return place.secrets | _in_environment(place.environment)


def _in_environment(environment: Mapping[str, str]) -> frozenset[str]:
    """Values of variables that are secrets by their name: also where the settings could not be read."""
    words = ("SECRET", "TOKEN", "PASSWORD", "API_KEY", "ENCRYPT_KEY", "TOKEN_KEY")
    return frozenset(
        part
        for name, value in environment.items()
        if not name.endswith("_FILE") and any(word in name for word in words)
        for part in (value, *value.split())
    )
