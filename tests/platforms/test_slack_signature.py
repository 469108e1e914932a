"""Slack's signature: published vectors, the vendor's own verifiers, and everything that must be refused."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_bolt.middleware.request_verification import RequestVerification
from slack_bolt.request import BoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.signature import Clock, SignatureVerifier

from app.http.errors import ApiError
from app.platforms.inbound import Challenge, RawRequest, SignatureRefused
from app.platforms.secret_set import SecretSet
from app.platforms.slack.events import SlackEvents
from app.platforms.slack.signature import TOLERANCE_SECONDS, claim, parse_secret, sign, verify
from app.settings import SettingsError, SlackSettings


@dataclass(frozen=True)
class Vector:
    source: str
    secret: str
    timestamp: int
    body: str
    signature: str


VECTORS = (
    # The same values stand in the test suites of Slack's own python-slack-sdk, bolt-js and java-slack-sdk.
    Vector(
        "https://docs.slack.dev/authentication/verifying-requests-from-slack",
        "8f742231b10e8888abcd99yyyzzz85a5",
        1531420618,
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
        "&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        "%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    ),
    Vector(
        "https://github.com/slack-go/slack/blob/34ad5c052e446f58505ae8d81a2a72821de107cc/security_test.go",
        "e6b19c573432dcc6b075501d51b51bb8",
        1531431954,
        '{"token":"aF5ynEYQH0dFN9imlgcADxDB","team_id":"XXXXXXXXX","api_app_id":"YYYYYYYYY","event":{"type":"app_mention",'
        '"user":"AAAAAAAAA","text":"<@EEEEEEEEE> hello world","client_msg_id":"477cc591-ch73-a14z-4db8-g0cd76321bec",'
        '"ts":"1531431954.000073","channel":"TTTTTTTTT","event_ts":"1531431954.000073"},"type":"event_callback",'
        '"event_id":"TvBP7LRED7","event_time":1531431954,"authed_users":["EEEEEEEEE"]}',
        "v0=adada4ed31709aef585c2580ca3267678c6a8eaeb7e0c1aca3ee57b656886b2c",
    ),
    Vector(
        "https://github.com/slack-ruby/slack-ruby-client/blob/05970c062eaf984e963ae97c309c170a11c57887"
        "/spec/slack/events/request_spec.rb",
        "ade6ca762ade4db0e7d31484cd616b9c",
        1547933148,
        '{"token":"X34FAqCu8tmGEkEEpoDncnja","challenge":"P7sFXA4o3HV2hTx4zb4zcQ9yrvuQs8pDh6EacOxmMRj0tJaXfQFF",'
        '"type":"url_verification"}',
        "v0=91177eea054d65de0fc0f9b4ec57714307bc0ce2c5f3bf0d28b1b720c8f92ba2",
    ),
)
SECRET, OLD = b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"
NOW = 1_700_000_000.0
CHALLENGE = b'{"type":"url_verification","challenge":"c-1"}'


class Stopped(Clock):
    def now(self) -> float:
        return NOW


def headers(secret: bytes, body: bytes, at: float = NOW) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-slack-request-timestamp", str(int(at)).encode()),
        (b"x-slack-signature", sign(secret, int(at), body).encode()),
    ]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.source)
def test_the_published_vectors_are_signed_and_verified_as_published(vector: Vector) -> None:
    secret, body = parse_secret(vector.secret), vector.body.encode()
    assert sign(secret, vector.timestamp, body) == vector.signature
    assert not verify(SecretSet(secret), headers(secret, body, vector.timestamp), body, vector.timestamp)


def test_the_published_challenge_is_answered_as_slack_wants_it() -> None:
    vector = VECTORS[2]
    events = SlackEvents(SecretSet(vector.secret.encode()), now=lambda: vector.timestamp)
    request = RawRequest(headers(vector.secret.encode(), vector.body.encode(), vector.timestamp), b"", vector.body.encode())
    assert events.receive(request) == Challenge({"challenge": "P7sFXA4o3HV2hTx4zb4zcQ9yrvuQs8pDh6EacOxmMRj0tJaXfQFF"})


@given(
    body=st.text(max_size=300), timestamp=st.integers(0, 10**11), secret=st.text("0123456789abcdef", min_size=32, max_size=32)
)
def test_the_vendors_own_signer_says_the_same(body: str, timestamp: int, secret: str) -> None:
    theirs = SignatureVerifier(secret).generate_signature(timestamp=str(timestamp), body=body)
    assert sign(secret.encode(), timestamp, body.encode()) == theirs


@pytest.mark.parametrize(("age", "good"), [(0, True), (299, True), (301, False), (-299, True), (-301, False)])
def test_slacks_sdk_and_bolt_accept_and_refuse_the_same_requests(age: int, good: bool) -> None:
    body = b'{"type":"event_callback"}'
    given_headers = headers(SECRET, body, NOW - age)
    as_text = {name.decode(): value.decode() for name, value in given_headers}
    verifier = SignatureVerifier(SECRET.decode(), clock=Stopped())
    assert verifier.is_valid_request(body, as_text) is good

    bolt = RequestVerification(SECRET.decode())
    bolt.verifier.clock = Stopped()
    request = BoltRequest(body=body.decode(), headers=as_text)
    answer = bolt.process(req=request, resp=BoltResponse(status=404), next=lambda: BoltResponse(status=200))
    assert (answer.status == 200) is good

    try:
        verify(SecretSet(SECRET), given_headers, body, NOW)
        ours = True
    except SignatureRefused:
        ours = False
    assert ours is good


def test_a_previous_secret_is_accepted_and_its_use_told() -> None:
    told: list[str] = []
    events = SlackEvents(SecretSet(SECRET, (OLD,)), now=lambda: NOW, previous_used=lambda: told.append("previous"))
    assert events.receive(RawRequest(headers(SECRET, CHALLENGE), b"", CHALLENGE)) == Challenge({"challenge": "c-1"})
    assert told == []
    assert events.receive(RawRequest(headers(OLD, CHALLENGE), b"", CHALLENGE)) == Challenge({"challenge": "c-1"})
    assert told == ["previous"]
    with pytest.raises(SignatureRefused):
        events.receive(RawRequest(headers(b"x" * 32, CHALLENGE), b"", CHALLENGE))
    assert told == ["previous"]


def changed(name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    return [(key, value if key == name else old) for key, old in headers(SECRET, CHALLENGE)]


@pytest.mark.parametrize(
    ("given_headers", "code"),
    [
        ([], "missing_signature"),
        (headers(SECRET, CHALLENGE)[:1], "missing_signature"),
        (headers(SECRET, CHALLENGE)[1:], "missing_signature"),
        (changed(b"x-slack-signature", b""), "missing_signature"),
        (headers(SECRET, CHALLENGE) * 2, "malformed_signature"),
        ([*headers(SECRET, CHALLENGE), (b"x-slack-signature", b"v0=" + b"0" * 64)], "malformed_signature"),
        (changed(b"x-slack-signature", headers(SECRET, CHALLENGE)[1][1].upper()), "malformed_signature"),
        (changed(b"x-slack-signature", b"v1=" + b"0" * 64), "malformed_signature"),
        (changed(b"x-slack-signature", b"v0=" + b"0" * 63), "malformed_signature"),
        (changed(b"x-slack-signature", b"v0=" + "０".encode() * 64), "malformed_signature"),
        (changed(b"x-slack-request-timestamp", b"-1"), "malformed_signature"),
        (changed(b"x-slack-request-timestamp", b"1e9"), "malformed_signature"),
        (changed(b"x-slack-request-timestamp", "١٧".encode()), "malformed_signature"),
        (changed(b"x-slack-request-timestamp", b"9" * 400), "malformed_signature"),
        (headers(SECRET, CHALLENGE, NOW - TOLERANCE_SECONDS - 1), "stale_timestamp"),
        (headers(SECRET, CHALLENGE, NOW + TOLERANCE_SECONDS + 1), "stale_timestamp"),
    ],
)
def test_headers_that_cannot_be_genuine_are_refused_before_a_body_is_read(
    given_headers: list[tuple[bytes, bytes]], code: str
) -> None:
    with pytest.raises(SignatureRefused) as refused:
        SlackEvents(SecretSet(SECRET), now=lambda: NOW).admit(given_headers)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("given_headers", "body"),
    [
        (headers(OLD, CHALLENGE), CHALLENGE),
        (headers(SECRET, CHALLENGE), CHALLENGE + b" "),
        (headers(SECRET, CHALLENGE, NOW - 1)[1:] + headers(SECRET, CHALLENGE)[:1], CHALLENGE),
    ],
)
def test_what_another_secret_signed_or_somebody_changed_is_refused(
    given_headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    with pytest.raises(SignatureRefused) as refused:
        verify(SecretSet(SECRET), given_headers, body, NOW)
    assert refused.value.code == "invalid_signature"
    assert SECRET.decode() not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 100_000, b'{"a":1,"a":2}', b'{"type":"url_verification"}', b"NaN"])
def test_malformed_input_is_401_without_a_signature_and_400_with_one(body: bytes) -> None:
    events = SlackEvents(SecretSet(SECRET), now=lambda: NOW)
    with pytest.raises(SignatureRefused):
        events.receive(RawRequest(headers(OLD, body), b"", body))
    with pytest.raises(ApiError) as error:
        events.receive(RawRequest(headers(SECRET, body), b"", body))
    assert error.value.status == 400


@pytest.mark.parametrize("challenge", [None, 1, "", "c" * 2000, ["c"]])
def test_a_challenge_that_is_no_text_is_named(challenge: object) -> None:
    body = json.dumps({"type": "url_verification", "challenge": challenge}).encode()
    with pytest.raises(ApiError) as error:
        SlackEvents(SecretSet(SECRET), now=lambda: NOW).receive(RawRequest(headers(SECRET, body), b"", body))
    assert error.value.param == "challenge"


def test_the_headers_alone_prove_nothing_but_are_read_as_they_are() -> None:
    assert claim(headers(SECRET, b"x"), NOW).timestamp == str(int(NOW))


def test_settings_give_the_secret_set_and_name_what_is_wrong() -> None:
    told: list[int] = []
    settings = SlackSettings.model_validate({"slack_signing_secret": f"{SECRET.decode()} {OLD.decode()}"})
    events = SlackEvents.from_settings(settings, previous_used=lambda: told.append(1))
    assert events._secrets == SecretSet(SECRET, (OLD,))
    with pytest.raises(SettingsError, match="SLACK_SIGNING_SECRET is required"):
        SlackEvents.from_settings(SlackSettings())
    with pytest.raises(SettingsError, match="SLACK_SIGNING_SECRET: a signing secret has 16") as wrong:
        SlackEvents.from_settings(SlackSettings.model_validate({"slack_signing_secret": "tooshort-canary"}))
    assert "canary" not in str(wrong.value)
