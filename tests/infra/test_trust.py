"""The bundle of certificate authorities: what is taken, and what a person is told about what is not."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from infra.errors import DeploymentError
from infra.generated.authority import issue_authority
from infra.kubernetes.trust import LARGEST_CONFIG_MAP, read_bundle

PEM = issue_authority(["localhost"], datetime.datetime.now(datetime.UTC)).certificate.decode()


def test_a_bundle_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(f"# ours\n{PEM}{PEM}")
    assert read_bundle(tmp_path / "ca.pem") == f"# ours\n{PEM}{PEM}"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read (No such file or directory). Give the path of a PEM file"),
        (b"\xff\xfe", "cannot be read (not text)"),
        (b"hello", "holds no PEM certificates"),
        (PEM.encode() + b"#" * LARGEST_CONFIG_MAP, f"{LARGEST_CONFIG_MAP} fit into a ConfigMap"),
    ],
)
def test_what_is_no_bundle_is_refused_before_anything_happens(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DeploymentError) as raised:
        read_bundle(file)
    assert str(raised.value).startswith(f"cluster.certificateAuthorities {file}")
    assert told in str(raised.value)
