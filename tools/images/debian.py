"""Writes an image's bill of materials: its Debian packages, added to what cyclonedx-py found of Python.

Runs inside the build, with Debian's Python alone: ``debian.py <image> <dpkg's status file> [<CycloneDX of Python>]``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

SPEC_VERSION = "1.6"


def installed(status: str) -> list[dict[str, str]]:
    """The fields of each package that is installed, from the text of ``/var/lib/dpkg/status`` (deb822)."""
    packages = []
    for paragraph in status.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if line and not line[0].isspace()]
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        fields = {name: value.strip() for name, value in fields.items()}
        if fields.get("Status", "").endswith(" installed"):
            packages.append(fields)
    return sorted(packages, key=lambda fields: (fields["Package"], fields["Architecture"]))


def component(fields: dict[str, str]) -> dict[str, Any]:
    """A CycloneDX component with a package URL (github.com/package-url/purl-spec, type deb)."""
    name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
    url = f"pkg:deb/debian/{quote(name)}@{quote(version, safe='.-~:')}?arch={architecture}&distro=bookworm"
    source = fields.get("Source", name).split()[0]
    return {
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": version,
        "purl": url,
        "properties": [{"name": "debian:source", "value": source}],
    }


def merged(image: str, python: dict[str, Any] | None, packages: list[dict[str, str]]) -> dict[str, Any]:
    """One CycloneDX document about the image. Where Python packages came from (an index, a proxy) is left out of it."""
    document: dict[str, Any] = dict(python or {"bomFormat": "CycloneDX", "specVersion": SPEC_VERSION, "version": 1})
    components = [without_origin(known) for known in document.get("components", [])]
    document["components"] = [*components, *(component(fields) for fields in packages)]
    document["metadata"] = {
        **{key: value for key, value in document.get("metadata", {}).items() if key in ("tools", "lifecycles")},
        "component": {"type": "container", "bom-ref": f"assistant/{image}", "name": f"assistant/{image}"},
    }
    return document


def without_origin(known: dict[str, Any]) -> dict[str, Any]:
    return {**known, "externalReferences": [r for r in known.get("externalReferences", []) if r.get("type") != "distribution"]}


def main(arguments: list[str]) -> int:
    image, status, *python = arguments
    packages = installed(Path(status).read_text(encoding="utf-8"))
    found = json.loads(Path(python[0]).read_text(encoding="utf-8")) if python else None
    json.dump(merged(image, found, packages), sys.stdout, indent=1, sort_keys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
