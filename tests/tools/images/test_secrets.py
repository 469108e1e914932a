"""What a build may know of this network, and that it stays in the build."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.images.secrets import bundle, pip_configuration, secrets

INDEX = "https://reader:hidden@packages.example/simple"


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("", ""),
        ("global.cert='/etc/ssl/bundle.crt'\n:env:.find-links='/opt/wheels'\n", ""),
        (f"global.index-url='{INDEX}'\n", f"[global]\nindex-url = {INDEX}\n"),
        (
            "global.index-url='https://old.example'\n:env:.index-url='https://new.example'\n",
            "[global]\nindex-url = https://new.example\n",
        ),
        ("install.trusted-host='a.example'\nglobal.timeout='60'\n", "[global]\ntimeout = 60\ntrusted-host = a.example\n"),
    ],
)
def test_the_settings_of_pip_that_serve_in_a_container_are_taken(listed: str, expected: str) -> None:
    assert pip_configuration(listed) == expected


def test_an_index_of_the_user_reaches_the_build_in_a_file_for_its_owner_that_is_gone_afterwards(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {INDEX}\n", encoding="utf-8")
    with secrets({"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}) as given:
        path = given["pip"]
        assert INDEX in path.read_text(encoding="utf-8")
        assert path.parent.stat().st_mode & 0o077 == 0
    assert not path.exists()


def test_authorities_are_those_that_the_users_programs_are_told_to_trust(tmp_path: Path) -> None:
    path = tmp_path / "bundle.crt"
    assert bundle({"SSL_CERT_FILE": str(path)}) is None  # a name of nothing
    path.touch()
    assert bundle({"PIP_CERT": str(path)}) == path
    assert bundle({}) is None
