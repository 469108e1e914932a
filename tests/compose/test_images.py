"""The images themselves, looked at from inside and through the engine."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tools.images import secrets
from tools.images.sbom import extract

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]
TARGETS = ("gateway", "inference-cpu", "redis", "reverse-proxy")
CHECKOUT = Path(__file__).resolve().parents[2]
# Uncompressed, bytes; measured 174, 431, 94 and 95 MB (docs/images.md), with room for Debian's updates.
LIMITS = {"gateway": 210e6, "inference-cpu": 480e6, "redis": 120e6, "reverse-proxy": 120e6}


@pytest.fixture
def inside(container_engine: Any, images: dict[str, str]) -> Any:
    """Run a shell line in a container of an image: no network, root file system read-only."""

    def run(target: str, line: str, *options: str) -> str:
        command = ["run", "--rm", "--network", "none", "--read-only", *options, images[target], "sh", "-c", line]
        return str(container_engine.output(*command))

    return run


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_stays_small(container_engine: Any, images: dict[str, str], target: str) -> None:
    assert container_engine.inspect(images[target])["Size"] < LIMITS[target]


@pytest.mark.parametrize("target", ["gateway", "inference-cpu"])
def test_an_image_can_call_what_it_calls_of_aws(inside: Any, target: str) -> None:
    """Secrets, models, and the identity by which a role is taken; the descriptions of all other services are left out."""
    program = (
        "import boto3; "
        "[boto3.client(name, region_name='eu-central-1') for name in ('s3', 'secretsmanager', 'sts')]; "
        "print(*boto3.session.Session().get_available_services())"
    )
    assert inside(target, f'python -c "{program}"').split() == ["s3", "secretsmanager", "sts"]


@pytest.mark.parametrize("target", TARGETS)
def test_no_file_lets_its_caller_become_another_user_and_none_of_the_users_own_is_in_the_way(inside: Any, target: str) -> None:
    assert inside(target, "id -u; id -g").split() == ["10001", "10001"]
    assert inside(target, "find / -xdev -type f -perm /6000", "--user", "0") == ""
    owned = inside(target, "find / -xdev -uid 10001 -not -path '/proc/*'", "--user", "0").split()
    assert set(owned) <= {"/data", "/models", "/run/certificate"}


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_that_builds_is_left(inside: Any, target: str) -> None:
    assert inside(target, "command -v gcc cc make ld git curl wget || true") == ""
    assert inside(target, "ls /var/lib/apt/lists") == ""
    has_pip = inside(target, "python -m pip --version 2>/dev/null || true")
    assert bool(has_pip) == (target == "inference-cpu")  # app.models fetches with it


@pytest.mark.parametrize("target", TARGETS)
def test_authorities_of_the_build_are_in_no_image(inside: Any, target: str) -> None:
    """A bundle of this network's authorities was trusted during the build; the image trusts Debian's alone."""
    bundle = secrets.bundle(os.environ)
    extra = certificates(bundle.read_text(encoding="utf-8")) if bundle else set()
    there = certificates(inside(target, "cat /etc/ssl/certs/ca-certificates.crt 2>/dev/null || true"))
    shipped = certificates(inside(target, "cat /usr/share/ca-certificates/mozilla/*.crt 2>/dev/null || true"))
    assert there <= shipped
    private = extra - shipped if shipped else set()
    assert not private & there
    assert inside(target, "ls -A /run/secrets 2>/dev/null || true") == ""


@pytest.mark.parametrize("target", TARGETS)
def test_neither_history_nor_settings_of_an_image_tell_of_an_index_or_a_key(
    container_engine: Any, images: dict[str, str], target: str
) -> None:
    told = json.dumps(container_engine.inspect(images[target])) + container_engine.output(
        "history", "--no-trunc", images[target]
    )
    assert not re.search(r"://[^/\s]*@|PIP_INDEX|API_KEY|PASSWORD", told, re.IGNORECASE)


@pytest.mark.parametrize("target", TARGETS)
def test_labels_say_what_an_image_is_and_what_it_stands_on(container_engine: Any, images: dict[str, str], target: str) -> None:
    labels = container_engine.inspect(images[target])["Config"]["Labels"]
    known = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
    assert known["title"] == f"assistant/{target}"
    assert known["licenses"] == "Apache-2.0"
    assert known["version"] and known["description"]
    assert re.fullmatch(r"[0-9a-f]{40}", known["revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", known["created"])
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", known["base.digest"])
    assert known["base.name"]


@pytest.mark.parametrize("target", TARGETS)
def test_the_bill_of_materials_names_every_package_of_the_image(
    inside: Any, container_engine: Any, images: dict[str, str], target: str
) -> None:
    document = json.loads(extract(container_engine, images[target]))
    assert document["bomFormat"] == "CycloneDX"
    urls = {component["purl"].split("?")[0] for component in document["components"] if "purl" in component}
    debian = inside(target, "dpkg-query --show --showformat '${Package}\\n'").split()
    assert {unquote(url.split("/")[2].split("@")[0]) for url in urls if url.startswith("pkg:deb/")} == set(debian)
    if target in ("gateway", "inference-cpu"):
        lock = (CHECKOUT / f"requirements/{target}.lock").read_text(encoding="utf-8")
        pinned = re.search(r"^(pydantic)==(\S+)", lock, re.MULTILINE)
        assert pinned and f"pkg:pypi/{pinned[1]}@{pinned[2]}" in urls
        installed = inside(target, "ls -d /opt/assistant/lib/python3.11/site-packages/*.dist-info").split()
        assert len({url for url in urls if url.startswith("pkg:pypi/")}) == len(installed)
    assert not re.search(r"://[^/\s\"]*@|/simple", json.dumps(document))


def test_python_starts_without_compiling_anything(inside: Any) -> None:
    said = inside(
        "gateway", "python -v -c 'import app.gateway.application, json, asyncio' 2>&1 | grep -c 'code object from /' || true"
    )
    assert int(said) == 0
    assert "app/gateway/application" in inside("gateway", "python -v -c 'import app.gateway.application' 2>&1 | grep matches")


def test_the_gateway_has_no_onnx_runtime(inside: Any) -> None:
    found = inside("gateway", "ls /opt/assistant/lib/python3.11/site-packages")
    assert "onnxruntime" not in found
    assert "onnxruntime" in inside("inference-cpu", "ls /opt/assistant/lib/python3.11/site-packages")


def certificates(text: str) -> set[str]:
    """The certificates of a PEM bundle, whatever stands between them."""
    return {
        "".join(body.split())
        for body in re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", text, re.DOTALL)
    }
