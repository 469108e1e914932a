"""When a certificate and its authority are made anew. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from enum import Enum
from typing import Any


class Action(Enum):
    """What to do with the certificates."""

    KEEP = "keep"
    RENEW = "renew"  # another server certificate, signed by the same authority: clients notice nothing
    REISSUE = "reissue"  # another authority as well


def due(olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime.datetime) -> Action:
    """What the certificates of ``olds`` need at the time ``now`` to be as ``news`` says.

    Read are ``hosts``, ``validityDays`` and ``renewBeforeDays`` of both, and of ``olds`` besides ``notAfter`` and
    ``authorityNotAfter`` (ISO 8601).
    """
    if list(olds["hosts"]) != list(news["hosts"]):  # the authority's name constraints follow the hosts
        return Action.REISSUE
    renew_before = datetime.timedelta(days=float(news["renewBeforeDays"]))
    validity = datetime.timedelta(days=float(news["validityDays"]))
    if datetime.datetime.fromisoformat(olds["authorityNotAfter"]) - now <= max(renew_before, validity):
        return Action.REISSUE
    if datetime.datetime.fromisoformat(olds["notAfter"]) - now <= renew_before:
        return Action.RENEW
    return Action.RENEW if olds["validityDays"] != news["validityDays"] else Action.KEEP
