"""Takes the bill of materials out of an image, without starting it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tools.images.engine import Engine

PLACE = "usr/share/sbom/assistant.cdx.json"


def extract(engine: Engine, reference: str) -> str:
    """The CycloneDX document, JSON. Raises :class:`ImageError` where the image has none."""
    container = engine.output("create", reference).strip()
    try:
        with tempfile.TemporaryDirectory() as folder:
            copied = Path(folder) / "sbom.json"
            engine.output("cp", f"{container}:/{PLACE}", str(copied))
            return copied.read_text(encoding="utf-8")
    finally:
        engine.output("rm", container)
