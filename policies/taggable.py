"""The AWS resources that carry tags: ``taggable.txt``, a type a line, as the pinned provider has them.

``python -m policies.taggable`` writes the list anew from the SDK: a resource takes the provider's default tags where it has the
output ``tagsAll``. A test holds the list to the SDK that is installed.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parent / "taggable.txt"
# In the SDK's sources: the token that a resource's class registers, and the property that only taggable ones have.
TOKEN: Final = re.compile(r"'(aws:[^']+)',\n\s+resource_name,")
TAGS_ALL: Final = "def tags_all("


def read(file: Path = FILE) -> frozenset[str]:
    return frozenset(file.read_text(encoding="utf-8").split())


def of_sdk() -> list[str]:
    """Sorted. Reads the SDK's sources, which takes seconds."""
    spec = importlib.util.find_spec("pulumi_aws")
    folders = list(spec.submodule_search_locations or []) if spec else []
    texts = (file.read_text(encoding="utf-8") for folder in folders for file in Path(folder).rglob("*.py"))
    return sorted({token for text in texts if TAGS_ALL in text for token in TOKEN.findall(text)})


if __name__ == "__main__":
    FILE.write_text("\n".join(of_sdk()) + "\n", encoding="utf-8")
