"""What the platforms' documented answers to an installation mean."""

from __future__ import annotations

from typing import Any

import pytest

from app.auth import installation_feishu, installation_slack
from app.auth.grants import NEVER_EXPIRES, GrantRefused, MalformedTokenAnswer
from app.auth.installation import InstallationRefused, challenge_of

# The example of https://docs.slack.dev/reference/methods/oauth.v2.access, with rotation switched on.
SLACK_ANSWER: dict[str, Any] = {
    "ok": True,
    "access_token": "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy",
    "token_type": "bot",
    "scope": "commands,incoming-webhook",
    "bot_user_id": "U0KRQLJ9H",
    "app_id": "A0KRD7HC3",
    "team": {"name": "Slack Pickleball Team", "id": "T9TK3CUKW"},
    "enterprise": {"name": "slack-pickleball", "id": "E12345678"},
    "is_enterprise_install": False,
    "expires_in": 43200,
    "refresh_token": "xoxe-1-abcdefg",
}


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_slack_s_answer_names_the_workspace_and_the_pair() -> None:
    found = installation_slack.installed(SLACK_ANSWER)
    assert (found.team, found.team_name) == ("T9TK3CUKW", "Slack Pickleball Team")
    assert (found.issued.lifetime, found.issued.refresh_token) == (43_200, "xoxe-1-abcdefg")
    assert "xox" not in repr(found)


def test_without_rotation_slack_s_token_never_expires() -> None:
    answer = {name: value for name, value in SLACK_ANSWER.items() if name not in ("expires_in", "refresh_token")}
    issued = installation_slack.installed(answer).issued
    assert (issued.lifetime, issued.refresh_token) == (NEVER_EXPIRES, None)


@pytest.mark.parametrize(
    "changes", [{"access_token": None}, {"access_token": "a b"}, {"refresh_token": 5}, {"token_type": "user"}]
)
def test_half_an_answer_of_slack_s_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedTokenAnswer):
        installation_slack.installed(SLACK_ANSWER | changes)


@pytest.mark.parametrize(
    "changes", [{"team": None, "is_enterprise_install": True}, {"is_enterprise_install": True}, {"team": "T1"}]
)
def test_an_organisation_is_no_workspace(changes: dict[str, Any]) -> None:
    with pytest.raises(InstallationRefused, match="choose one workspace"):
        installation_slack.installed(SLACK_ANSWER | changes)


@pytest.mark.parametrize(
    ("error", "status", "code", "words"),
    [
        (GrantRefused("code_already_used"), 400, "code_refused", "used already"),
        (GrantRefused("invalid_code"), 400, "code_refused", "Begin the installation again"),
        (GrantRefused("ratelimited", passing=True), 502, "platform_unavailable", "in a minute"),
        (GrantRefused("bad_redirect_uri"), 502, "platform_refused", "redirect URI is not entered"),
        (GrantRefused("bad_client_secret"), 502, "platform_refused", "SLACK_CLIENT_SECRET"),
        (GrantRefused("something_new"), 502, "platform_refused", "something_new"),
    ],
)
def test_slack_s_refusals(error: GrantRefused, status: int, code: str, words: str) -> None:
    refusal = installation_slack.refused(error)
    assert (refusal.status, refusal.code) == (status, code)
    assert words in str(refusal)


@pytest.mark.parametrize(
    ("number", "status", "code", "words"),
    [
        ("20003", 400, "code_refused", "used already"),
        ("20004", 400, "code_refused", "too old"),
        ("20065", 400, "code_refused", "used already"),
        ("20002", 502, "platform_refused", "FEISHU_APP_SECRET"),
        ("20010", 502, "platform_refused", "availability"),
        ("20049", 502, "platform_refused", "PKCE"),
        ("20071", 502, "platform_refused", "redirect URI"),
        ("20050", 502, "platform_unavailable", "in a minute"),
        ("20072", 502, "platform_unavailable", "in a minute"),
        ("29999", 502, "platform_refused", "29999"),
    ],
)
def test_feishu_s_refusals(number: str, status: int, code: str, words: str) -> None:
    refusal = installation_feishu.refused(GrantRefused(number))
    assert (refusal.status, refusal.code) == (status, code)
    assert words in str(refusal)
