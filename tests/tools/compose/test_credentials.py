"""The secrets that compose mounts: made once, for their owner alone."""

from __future__ import annotations

from pathlib import Path

from app.auth.api_keys import ApiKeys
from app.platforms.standard_webhooks import parse_secrets
from tools.compose.credentials import ensure, ensure_environment, parse, with_values


def test_secrets_are_made_once_and_stay(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    ensure(folder)
    first = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    ensure(folder)
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == first
    assert len(set(first.values())) == 5


def test_only_their_owner_comes_to_the_secrets_and_a_containers_user_may_read_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o755)
    ensure(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}


def test_the_application_takes_what_is_made(tmp_path: Path) -> None:
    ensure(tmp_path)
    key = (tmp_path / "gateway_api_key").read_text(encoding="utf-8")
    assert ApiKeys.parse(key).accepts([f"Bearer {key}"])
    assert len(parse_secrets((tmp_path / "generic_webhook_secret").read_text(encoding="utf-8"))) == 1
    password = (tmp_path / "redis_password").read_text(encoding="utf-8")
    assert password not in (tmp_path / "redis_users").read_text(encoding="utf-8")


def test_the_environment_file_is_its_owners_and_what_a_person_wrote_stays(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nHTTPS_PORT=9443\nGATEWAY_IMAGE=old\n", encoding="utf-8")
    values = ensure_environment(path, {"GATEWAY_IMAGE": "new"})
    assert (values["HTTPS_PORT"], values["GATEWAY_IMAGE"]) == ("9443", "new")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text(encoding="utf-8").startswith("# mine\n")
    assert ensure_environment(path, {})["PLATFORM_API_KEY"] == values["PLATFORM_API_KEY"]
    assert len(values["PLATFORM_API_KEY"]) >= 43


def test_a_value_is_replaced_in_its_line() -> None:
    assert with_values("A=1\nB=2\n", {"A": "3", "C": "4"}) == "A=3\nB=2\nC=4\n"
    assert parse("# no\nA=1\nB=x=y\n") == {"A": "1", "B": "x=y"}
