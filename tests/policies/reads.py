"""What each rule says that it reads, written down: nobody may ignore changes of it (R75), so its loss must not go unnoticed.

``python tests/policies/reads.py`` writes ``recorded/reads.json`` anew; what then differs is what a reviewer looks at.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).parent / "recorded" / "reads.json"
TAGGABLE = "every type that takes tags"

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from policies.rule import Rule  # noqa: E402
from policies.rules import RULES  # noqa: E402
from policies.taggable import read  # noqa: E402


def of(rule: Rule) -> dict[str, list[str]]:
    """The types and properties; the hundreds of types that take tags as one, where they all stand for their tags."""
    reads = {kind: list(properties) for kind, properties in rule.reads().items()}
    known = read()
    if known <= set(reads) and all(reads[kind] == ["tags"] for kind in known):
        reads = {TAGGABLE: ["tags"]} | {kind: properties for kind, properties in reads.items() if kind not in known}
    return reads


def written() -> Mapping[str, Mapping[str, list[str]]]:
    return json.loads(FILE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    lines = [
        f" {json.dumps(rule.id)}: {{\n"
        + ",\n".join(f"  {json.dumps(kind)}: {json.dumps(properties)}" for kind, properties in sorted(of(rule).items()))
        + "\n }"
        for rule in sorted(RULES, key=lambda rule: rule.id)
        if rule.id != "R75"  # reads what all others do
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
