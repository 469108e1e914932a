"""The dialects: what is asked, and what each documented answer means."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

import pytest

from app.auth.grants import (
    DEFAULT_LIFETIME_SECONDS,
    GrantRefused,
    MalformedTokenAnswer,
    SlackRotation,
    TenantAccessToken,
    error_code,
)

# The examples of https://open.feishu.cn/document/server-docs/authentication-management/access-token/tenant_access_token_internal
FEISHU_ID, FEISHU_SECRET = "cli_slkdjalasdkjasd", "dskLLdkasdjlasdKK"
FEISHU_ANSWER = {"code": 0, "msg": "ok", "tenant_access_token": "t-caecc734c2e3328a62489fe0648c4b98779515d3", "expire": 7200}
SLACK_ANSWER = {"ok": True, "access_token": "xoxe.xoxb-1-new", "refresh_token": "xoxe-1-next", "expires_in": 43200}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def test_feishu_is_asked_in_json_with_its_own_names() -> None:
    request = TenantAccessToken().request(FEISHU_ID, FEISHU_SECRET)
    assert json.loads(request.body) == {"app_id": FEISHU_ID, "app_secret": FEISHU_SECRET}
    assert request.headers == {"Content-Type": "application/json; charset=utf-8"}
    assert FEISHU_SECRET not in repr(request)


def test_feishu_tells_the_lifetime_as_expire() -> None:
    issued = TenantAccessToken().parse(encoded(FEISHU_ANSWER))
    assert issued.token == FEISHU_ANSWER["tenant_access_token"]
    assert issued.lifetime == 7200
    assert issued.refresh_token is None


def test_feishu_with_another_code_than_0_is_a_refusal_although_http_says_200() -> None:
    with pytest.raises(GrantRefused) as refused:
        TenantAccessToken().parse(b'{"code": 10014, "msg": "app secret invalid"}')
    assert refused.value.code == "10014"
    assert not refused.value.passing


def test_feishu_s_rate_limit_passes() -> None:
    with pytest.raises(GrantRefused) as refused:
        TenantAccessToken().parse(b'{"code": 99991400, "msg": "request trigger frequency limit"}')
    assert refused.value.passing


@pytest.mark.parametrize("code", ["xoxb-secret", None, True, [1], 10**30, -1])
def test_what_is_no_code_is_not_repeated(code: object) -> None:
    with pytest.raises(GrantRefused, match="an unknown error"):
        TenantAccessToken().parse(encoded({"code": code, "tenant_access_token": "t-1"}))


def test_slack_is_asked_with_the_refresh_token_in_a_form_and_the_identity_in_the_header() -> None:
    request = SlackRotation("xoxe-1-old").request("12.34", "secret")
    assert parse_qs(request.body.decode()) == {"grant_type": ["refresh_token"], "refresh_token": ["xoxe-1-old"]}
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"12.34:secret"
    assert "xoxe-1-old" not in repr(request) + repr(SlackRotation("xoxe-1-old"))


def test_slack_gives_a_new_pair_for_twelve_hours() -> None:
    issued = SlackRotation("xoxe-1-old").parse(encoded(SLACK_ANSWER))
    assert (issued.token, issued.refresh_token, issued.lifetime) == ("xoxe.xoxb-1-new", "xoxe-1-next", 43_200)


@pytest.mark.parametrize(
    ("error", "passing"), [("invalid_refresh_token", False), ("bad_client_secret", False), ("ratelimited", True)]
)
def test_slack_with_ok_false_is_a_refusal_although_http_says_200(error: str, passing: bool) -> None:
    with pytest.raises(GrantRefused) as refused:
        SlackRotation("xoxe-1-old").parse(encoded({"ok": False, "error": error}))
    assert (refused.value.code, refused.value.passing) == (error, passing)


@pytest.mark.parametrize("error", ["xoxe-1-secret", "A sentence.", None, 5, "a" * 65])
def test_an_error_that_is_no_word_is_not_repeated(error: object) -> None:
    with pytest.raises(GrantRefused, match="an unknown error"):
        SlackRotation("xoxe-1-old").parse(encoded({"ok": False, "error": error}))


@pytest.mark.parametrize("missing", ["access_token", "refresh_token"])
def test_half_a_pair_is_no_pair(missing: str) -> None:
    with pytest.raises(MalformedTokenAnswer, match=missing):
        SlackRotation("xoxe-1-old").parse(encoded({name: value for name, value in SLACK_ANSWER.items() if name != missing}))


def test_a_rotated_token_without_a_lifetime_counts_for_an_hour() -> None:
    answer = {name: value for name, value in SLACK_ANSWER.items() if name != "expires_in"}
    assert SlackRotation("xoxe-1-old").parse(encoded(answer)).lifetime == DEFAULT_LIFETIME_SECONDS


@pytest.mark.parametrize("grant", [TenantAccessToken(), SlackRotation("xoxe-1-old")])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_malformed(grant: TenantAccessToken | SlackRotation, body: bytes) -> None:
    with pytest.raises(MalformedTokenAnswer):
        grant.parse(body)


def test_the_code_of_a_refusal_with_a_status_of_its_own() -> None:
    assert error_code(b'{"code": 10003, "msg": "invalid param"}') == "10003"
    assert error_code(b'{"error": "invalid_client"}') == "invalid_client"
    assert error_code(b'{"error": "whatever they like"}') is None
