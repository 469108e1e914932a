"""The secrets: generated once, kept as they are, and mended where their files are harmed."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest

from infra.generated.values import NAMES, generate, renewed
from infra.local.secrets import SecretsProvider

provider = SecretsProvider()


def inputs(root: Path, **versions: int) -> dict[str, Any]:
    return {"stateDirectory": str(root), "versions": {**dict.fromkeys(NAMES, 1), **versions}}


@pytest.fixture
def created(tmp_path: Path) -> dict[str, Any]:
    return provider.create(inputs(tmp_path / "state")).outs or {}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "secrets"


def test_every_secret_has_256_bits_of_its_own_and_lies_in_a_private_file(created: dict[str, Any], directory: Path) -> None:
    assert set(created["values"]) == set(NAMES)
    assert len(set(created["values"].values())) == len(NAMES)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for name, value in created["values"].items():
        assert (directory / name).read_text() == value
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
        bits = value.removeprefix("whsec_").replace("+", "-").replace("/", "_")
        assert len(base64.urlsafe_b64decode(bits + "==")) == 32, name


def test_a_webhook_secret_is_one_as_standard_webhooks_writes_it() -> None:
    secret = generate("generic_webhook_secret")
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64


def test_a_key_of_tokens_is_one_of_aes_and_its_successor_keeps_the_one_before() -> None:
    first = generate("token_key")
    assert len(base64.b64decode(first, validate=True)) == 32
    second = renewed({"token_key": first}, {"token_key": 1}, {"token_key": 2})["token_key"]
    third = renewed({"token_key": second}, {"token_key": 2}, {"token_key": 3})["token_key"]
    assert second.split()[1] == first
    assert third.split()[1] == second.split()[0]
    assert len(third.split()) == 2


def test_outside_values_no_output_holds_a_secret(created: dict[str, Any]) -> None:
    shown = repr({key: value for key, value in created.items() if key != "values"})
    assert not any(value in shown for value in created["values"].values())


def test_nothing_to_do_on_fresh_ones(created: dict[str, Any], tmp_path: Path) -> None:
    read = provider.read("x", created).outs or {}
    assert read == created
    assert provider.diff("x", read, inputs(tmp_path / "state")).changes is False


def test_a_raised_version_replaces_that_secret_alone(created: dict[str, Any], tmp_path: Path, directory: Path) -> None:
    news = inputs(tmp_path / "state", api_key=2)
    assert provider.diff("x", created, news).changes is True
    updated = provider.update("x", created, news).outs or {}
    assert {name for name in NAMES if updated["values"][name] != created["values"][name]} == {"api_key"}
    assert {name for name in NAMES if updated["digests"][name] != created["digests"][name]} == {"api_key"}
    assert (directory / "api_key").read_text() == updated["values"]["api_key"]


def test_a_secret_that_a_later_version_of_the_program_needs_is_added() -> None:
    values = renewed({"api_key": "old"}, {"api_key": 1}, {"api_key": 1, "new_one": 1})
    assert values["api_key"] == "old"
    assert values["new_one"]


@pytest.mark.parametrize(("harm", "reported"), [("remove", "missing"), ("alter", "changed"), ("open", "mode 0644")])
def test_refresh_sees_a_harmed_file_and_an_update_writes_the_same_secret_again(
    created: dict[str, Any], directory: Path, tmp_path: Path, harm: str, reported: str
) -> None:
    file = directory / "api_key"
    if harm == "remove":
        file.unlink()
    elif harm == "alter":
        file.write_text("something else")
    else:
        file.chmod(0o644)
    read = provider.read("x", created).outs or {}
    assert read["files"]["api_key"] == reported
    assert provider.diff("x", read, inputs(tmp_path / "state")).changes is True
    updated = provider.update("x", read, inputs(tmp_path / "state")).outs or {}
    assert updated == created
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_delete_leaves_nothing(created: dict[str, Any], tmp_path: Path) -> None:
    provider.delete("x", created)
    assert not (tmp_path / "state").exists()
    provider.delete("x", created)


def test_another_state_directory_means_another_place_for_all_of_them(created: dict[str, Any], tmp_path: Path) -> None:
    result = provider.diff("x", created, inputs(tmp_path / "elsewhere"))
    assert result.replaces == ["stateDirectory"]
    assert result.delete_before_replace is True
