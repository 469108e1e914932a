"""What no service model could say anything about: ``python -m aws.coverage <world file or tokens>``, in tests/providers.

Names and types of every property are checked by the SDK; this is about enumerations, patterns, lengths and bounds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from aws.checks import Coverage, coverage
from aws.sdk import Sdk
from aws.world import orphans

USAGE = "usage: python -m aws.coverage <world file> | <token> …"


def of_world(sdk: Sdk, path: Path) -> list[Coverage]:
    """Of each kind that exists in a world."""
    return [coverage(sdk, token) for token in sorted({record.token for record in orphans(path)})]


def report(found: Iterable[Coverage]) -> str:
    lines, checked, unchecked = [], 0, 0
    for item in found:
        checked, unchecked = checked + len(item.checked), unchecked + len(item.unchecked)
        if item.operation is None:
            lines.append(f"{item.token}: no operation of a service model; types alone")
        elif item.unchecked:
            lines.append(f"{item.token}: {item.operation} knows nothing of {', '.join(item.unchecked)}")
        else:
            lines.append(f"{item.token}: all by {item.operation}")
    return "\n".join([*lines, f"{checked} properties checked against a service model, {unchecked} by their type alone"])


def main(arguments: list[str]) -> int:
    if not arguments:
        print(USAGE, file=sys.stderr)
        return 2
    sdk, path = Sdk(), Path(arguments[0])
    print(report(of_world(sdk, path) if path.is_file() else [coverage(sdk, token) for token in arguments]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
