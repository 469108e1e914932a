"""A digest of what a pod reads from elsewhere, so that it is replaced when that changes. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

import pulumi


def digest_of(content: Any) -> str:
    """SHA-256 in hexadecimal over the canonical JSON of ``content``."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def configuration_hash(parts: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """``parts``: by name, a digest or the text itself of each thing; none of them a secret."""
    return cast("pulumi.Output[str]", pulumi.Output.from_input(dict(parts)).apply(digest_of))
