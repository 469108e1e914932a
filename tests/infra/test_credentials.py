"""What a person brings from a platform's console: where it lies, what a stack needs of it, and that none of it is shown."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from infra.credentials import NAMES, Credentials, Wanted, digest, of_feishu, of_slack, wanted
from infra.errors import DeploymentError
from infra.platform_settings import Feishu, Platforms, Slack


def slack(**given: Any) -> Slack:
    return Slack.model_validate(given)


def feishu(**given: Any) -> Feishu:
    return Feishu.model_validate({"appId": "cli_a1", **given})


@pytest.mark.parametrize(
    ("needs", "of"),
    [
        (of_slack(slack()), Wanted(("slack_signing_secret", "slack_bot_token"))),
        (of_slack(slack(transport="socketMode")), Wanted(("slack_app_token", "slack_bot_token"))),
        (of_slack(slack(clientId="1.2")), Wanted(("slack_signing_secret", "slack_client_secret"), ("slack_bot_token",))),
        (of_feishu(feishu()), Wanted(("feishu_app_secret", "feishu_encrypt_key", "feishu_verification_token"))),
        (of_feishu(feishu(transport="longConnection")), Wanted(("feishu_app_secret",))),
        (wanted(Platforms()), Wanted()),
    ],
)
def test_a_stack_needs_what_its_platforms_and_transports_do(needs: Wanted, of: Wanted) -> None:
    assert needs == of
    assert {*needs.required, *needs.optional} <= NAMES.keys()


def test_a_value_is_kept_from_everybody_else_and_read_without_the_line_break_of_its_paste(tmp_path: Path) -> None:
    kept = Credentials("prod", tmp_path)
    kept.write("slack_bot_token", " a token\n")
    assert kept.read("slack_bot_token") == "a token"
    assert stat.S_IMODE(kept.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(kept.path("slack_bot_token").stat().st_mode) == 0o600
    assert kept.directory == tmp_path / ".state" / "credentials" / "prod"


def test_what_is_missing_is_named_with_the_command_that_asks_for_it(tmp_path: Path) -> None:
    kept = Credentials("prod", tmp_path)
    kept.write("slack_bot_token", "canary")
    kept.write("slack_app_token", "of the other transport")
    platforms = Platforms(slack=slack(), feishu=feishu(transport="longConnection"))
    with pytest.raises(DeploymentError) as told:
        kept.given(platforms)
    assert "lacks slack_signing_secret, feishu_app_secret. Nothing was changed." in str(told.value)
    assert "make connect PLATFORM=slack STACK=prod and make connect PLATFORM=feishu STACK=prod" in str(told.value)
    assert "canary" not in str(told.value)
    kept.write("slack_signing_secret", "s")
    kept.write("feishu_app_secret", "f")
    assert kept.given(platforms) == {"slack_signing_secret": "s", "slack_bot_token": "canary", "feishu_app_secret": "f"}


def test_an_optional_credential_is_used_where_it_is_there_and_an_empty_file_is_none(tmp_path: Path) -> None:
    kept = Credentials("local", tmp_path)
    platforms = Platforms(slack=slack(clientId="1.2"))
    for name in ("slack_signing_secret", "slack_client_secret"):
        kept.write(name, "x")
    kept.write("slack_bot_token", "")
    assert "slack_bot_token" not in kept.given(platforms)
    kept.write("slack_bot_token", "t")
    assert kept.given(platforms)["slack_bot_token"] == "t"


def test_what_others_can_read_is_refused_with_the_command_that_closes_it(tmp_path: Path) -> None:
    kept = Credentials("local", tmp_path)
    kept.write("slack_bot_token", "canary")
    for path, mode in ((kept.path("slack_bot_token"), 0o640), (kept.directory, 0o755)):
        before = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode)
        with pytest.raises(DeploymentError, match=r"can be read by others than its owner\. Close it: chmod go= ") as told:
            kept.read("slack_bot_token")
        assert "canary" not in str(told.value)
        path.chmod(before)
    assert kept.read("slack_bot_token") == "canary"


def test_a_digest_tells_values_and_names_apart_and_is_the_same_again() -> None:
    assert digest("feishu_encrypt_key", "a") == digest("feishu_encrypt_key", "a")
    assert len({digest("feishu_encrypt_key", "a"), digest("feishu_encrypt_key", "b"), digest("slack_bot_token", "a")}) == 3
