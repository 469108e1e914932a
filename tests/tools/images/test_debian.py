"""The Debian packages of an image, as its bill of materials lists them."""

from __future__ import annotations

from tools.images.debian import component, installed, merged

STATUS = """Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl (3.0.17-1)
Version: 3.0.17-1~deb12u2
Description: Secure Sockets Layer toolkit
 Version: of no package

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: base-files
Status: install ok installed
Architecture: amd64
Version: 12.4+deb12u12
"""


def test_installed_packages_are_listed_with_their_versions_and_removed_ones_are_not() -> None:
    assert [(p["Package"], p["Version"]) for p in installed(STATUS)] == [
        ("base-files", "12.4+deb12u12"),
        ("libssl3", "3.0.17-1~deb12u2"),
    ]


def test_a_package_is_named_by_its_url_and_its_source_package() -> None:
    found = component(installed(STATUS)[1])
    assert found["purl"] == "pkg:deb/debian/libssl3@3.0.17-1~deb12u2?arch=amd64&distro=bookworm"
    assert found["properties"] == [{"name": "debian:source", "value": "openssl"}]


def test_python_packages_keep_their_place_and_lose_where_they_were_fetched() -> None:
    fetched = {"type": "distribution", "url": "https://reader:hidden@packages.example/simple"}
    site = {"type": "website", "url": "https://redis.example"}
    python = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {"tools": {}, "component": {"name": "/opt/assistant"}},
        "components": [{"name": "redis", "version": "7.4.1", "externalReferences": [fetched, site]}],
    }
    document = merged("gateway", python, installed(STATUS))
    assert [c["name"] for c in document["components"]] == ["redis", "base-files", "libssl3"]
    assert document["components"][0]["externalReferences"] == [site]
    assert document["metadata"]["component"]["name"] == "assistant/gateway"
    assert "hidden" not in str(document)
