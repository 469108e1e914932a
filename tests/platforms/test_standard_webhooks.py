"""The generic platform's signatures, against published vectors and the specification's own library."""

from __future__ import annotations

import base64
import itertools
import secrets
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from app.platforms.standard_webhooks import (
    MAX_SIGNATURES,
    TOLERANCE_SECONDS,
    SecretError,
    SignatureRefused,
    parse_secrets,
    sign,
    verify,
)

NOW = 1_614_265_330
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
(KEY,) = parse_secrets(SECRET)
BODY = b'{"test": 2432232314}'

# (source, key, id, time stamp, body, signature)
VECTORS = [
    pytest.param(
        base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        id="standard-webhooks/libraries/python/tests/test_webhooks.py",
    ),
    pytest.param(
        base64.b64decode("plJ3nmyCDGBKInavdOK15jsl"),  # 18 bytes: shorter than we accept in a configuration
        "msg_loFOjxBNrRLzqYUf",
        1731705121,
        b'{"event_type":"ping","data":{"success":true}}',
        "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        id="docs.svix.com/receiving/verifying-payloads/how-manual",
    ),
]


def raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def signed(**changes: str | None) -> list[tuple[bytes, bytes]]:
    """The headers of BODY, some replaced (their names with an underscore) or, with None, left out."""
    headers = sign([KEY], "msg_1", NOW, BODY)
    for name, value in changes.items():
        header = name.replace("_", "-")
        if value is None:
            del headers[header]
        else:
            headers[header] = value
    return raw(headers)


def refusal(headers: list[tuple[bytes, bytes]], body: bytes = BODY, now: float = NOW) -> str:
    with pytest.raises(SignatureRefused) as refused:
        verify([KEY], headers, body, now)
    assert "whsec" not in str(refused.value)
    return refused.value.code


@pytest.mark.parametrize(("key", "message_id", "timestamp", "body", "signature"), VECTORS)
def test_published_vectors_are_produced_and_accepted(
    key: bytes, message_id: str, timestamp: int, body: bytes, signature: str
) -> None:
    headers = sign([key], message_id, timestamp, body)
    assert headers["webhook-signature"] == signature
    assert verify([key], raw(headers), body, timestamp).id == message_id


@given(
    body=st.text().map(str.encode),
    message_id=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="."), min_size=1, max_size=200),
)
def test_what_we_sign_the_reference_library_accepts_and_the_other_way_round(body: bytes, message_id: str) -> None:
    now = int(datetime.now(UTC).timestamp())
    library = Webhook(SECRET)
    library.verify(body, sign([KEY], message_id, now, body), json_parse=False)
    theirs = {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": library.sign(message_id, datetime.fromtimestamp(now, UTC), body.decode()),
    }
    assert verify([KEY], raw(theirs), body, now).id == message_id


@pytest.mark.parametrize("offset", [-TOLERANCE_SECONDS, 0, TOLERANCE_SECONDS])
def test_a_time_stamp_within_the_tolerance_is_accepted(offset: int) -> None:
    assert verify([KEY], signed(), BODY, NOW + offset).id == "msg_1"


@pytest.mark.parametrize("offset", [-TOLERANCE_SECONDS - 1, TOLERANCE_SECONDS + 1, TOLERANCE_SECONDS + 0.5, 10**9])
def test_a_time_stamp_outside_the_tolerance_is_refused_though_its_signature_is_right(offset: float) -> None:
    assert refusal(signed(), now=NOW + offset) == "stale_timestamp"


@pytest.mark.parametrize("position", range(len(BODY)))
def test_a_change_of_any_byte_of_the_body_is_refused(position: int) -> None:
    changed = BODY[:position] + bytes([BODY[position] ^ 1]) + BODY[position + 1 :]
    assert refusal(signed(), changed) == "invalid_signature"


def test_changing_the_id_or_the_time_stamp_under_a_signature_is_refused() -> None:
    assert refusal(signed(webhook_id="msg_2")) == "invalid_signature"
    assert refusal(signed(webhook_timestamp=str(NOW + 1))) == "invalid_signature"


@pytest.mark.parametrize("name", ["webhook_id", "webhook_timestamp", "webhook_signature"])
def test_each_header_is_required_once(name: str) -> None:
    header = name.replace("_", "-").encode()
    assert refusal(signed(**{name: None})) == "missing_signature"
    assert refusal(signed(**{name: ""})) == "missing_signature"
    twice = signed()
    twice += [pair for pair in twice if pair[0] == header]
    assert refusal(twice) == "malformed_signature"


@pytest.mark.parametrize(
    "timestamp",
    [
        "soon",
        "-1",
        "+1614265330",
        "1614265330.0",
        " 1614265330",
        "1614265330\n",
        "0x60",
        "1e9",
        "9" * 13,
        "１６１４２６５３３０",
        "nan",
    ],
)
def test_a_time_stamp_that_is_not_whole_seconds_is_refused(timestamp: str) -> None:
    headers = [(name, value) for name, value in signed() if name != b"webhook-timestamp"]
    headers.append((b"webhook-timestamp", timestamp.encode()))
    assert refusal(headers) == "malformed_signature"


@pytest.mark.parametrize("message_id", ["a.1614265330.b", "a b", "a\r\nx: y", "\x00", "é", "x" * 201])
def test_an_id_that_could_be_read_in_two_ways_or_does_not_belong_into_a_header_is_refused(message_id: str) -> None:
    headers = [(name, value) for name, value in signed() if name != b"webhook-id"]
    assert refusal([*headers, (b"webhook-id", message_id.encode())]) == "malformed_signature"
    with pytest.raises(ValueError, match="webhook-id"):
        sign([KEY], message_id, NOW, BODY)


@pytest.mark.parametrize(
    "signature",
    [
        "v1",
        "v1,",
        ",",
        "   ",
        "v1,é",
        "v1,!!!!",
        "v2,{good}",
        "v1a,{good}",
        "{good}",
        "V1,{good}",
        "v1,{good}x",
        "v1, {good}",
        "v1,{good},v1",
        "v1,\t{good}",
    ],
)
def test_a_malformed_signature_is_refused(signature: str) -> None:
    good = sign([KEY], "msg_1", NOW, BODY)["webhook-signature"].removeprefix("v1,")
    assert refusal(signed(webhook_signature=signature.format(good=good))) == "invalid_signature"


def test_an_endless_list_of_signatures_is_refused_before_any_is_compared() -> None:
    good = sign([KEY], "msg_1", NOW, BODY)["webhook-signature"]
    most = " ".join(["v1,AAAA"] * (MAX_SIGNATURES - 1) + [good])
    assert verify([KEY], signed(webhook_signature=most), BODY, NOW).id == "msg_1"
    assert refusal(signed(webhook_signature=f"v1,AAAA {most}")) == "malformed_signature"


def test_secrets_rotate_with_an_overlap_on_either_side() -> None:
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    for signers, verifiers in itertools.product([(old,), (new,), (old, new), (new, old)], repeat=2):
        headers = raw(sign(signers, "msg_1", NOW, BODY))
        if set(signers) & set(verifiers):
            assert verify(verifiers, headers, BODY, NOW).id == "msg_1"
        else:
            with pytest.raises(SignatureRefused):
                verify(verifiers, headers, BODY, NOW)


def test_secrets_are_read_with_and_without_prefix_and_padding() -> None:
    key = bytes(range(32))
    encoded = base64.b64encode(key).decode()
    assert parse_secrets(f"whsec_{encoded} {encoded}\n{encoded.rstrip('=')}") == (key, key, key)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "whsec_", "whsec_!!!!", "password", "whsec_aé", *(base64.b64encode(bytes(n)).decode() for n in (23, 65))],
)
def test_an_unusable_secret_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SecretError) as refused:
        parse_secrets(text)
    secret = text.strip().removeprefix("whsec_")
    assert not secret or secret not in str(refused.value)
