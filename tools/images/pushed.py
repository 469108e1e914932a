"""The tag under which an image is pushed. Where a registry refuses to write over a tag, it has to be another one whenever
Pulumi's docker-build would build again, and that is for every file and mode of the context, also where the image takes none.
"""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path

from tools.images.inputs import DOCKERFILE, IGNORE_FILE, TAG_DIGITS

# As the ignore file has it; a test compares the two.
SENT = ("app", "requirements", "tools/images/install.sh", "tools/images/debian.py")
KEPT_BACK = re.compile(r"^app/(Dockerfile|compose)[^/]*$|(^|/)(__pycache__|\.[^/]*)(/|$)|\.pyc$")


def context(checkout: Path) -> list[str]:
    """Paths, relative to the checkout, of what is sent to the builder."""
    places = [checkout / name for name in SENT]
    found = [path for place in places for path in (place.rglob("*") if place.is_dir() else [place]) if path.is_file()]
    names = (path.relative_to(checkout).as_posix() for path in found)
    return sorted(name for name in names if not KEPT_BACK.search(name))


def tag(target: str, platform: str, checkout: Path) -> str:
    digest = hashlib.sha256(f"{target}\0{platform}".encode())
    for name in (DOCKERFILE, IGNORE_FILE, *context(checkout)):
        path = checkout / name
        content, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
        digest.update(f"\0{name}\0{mode:o}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:TAG_DIGITS]
