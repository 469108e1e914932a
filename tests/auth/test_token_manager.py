"""The token manager against a real token endpoint on a socket."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from generic.emulator import Emulator
from hypothesis import given
from hypothesis import strategies as st

from app.auth.grants import (
    DEFAULT_LIFETIME_SECONDS,
    MAX_LIFETIME_SECONDS,
    ClientCredentials,
    MalformedTokenAnswer,
    lifetime_seconds,
)
from app.auth.token_manager import AccessTokenError, AccessTokenRefused, AccessTokenUnavailable, TokenManager

SECRET = "s3cret: +%/ü"  # each of them needs RFC 6749's encoding
TOKEN_PATH = "/oauth/token"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def platform() -> Iterator[Emulator]:
    with Emulator(client_secret=SECRET, webhook_secret="whsec_" + base64.b64encode(bytes(32)).decode()) as emulator:
        yield emulator


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[..., TokenManager]


@pytest.fixture
async def make(platform: Emulator, clock: Clock) -> AsyncIterator[Make]:
    made: list[TokenManager] = []

    def build(client_secret: str = SECRET, **options: object) -> TokenManager:
        values: dict[str, object] = {"token_url": platform.url + TOKEN_PATH, "monotonic": clock, **options}
        made.append(TokenManager("assistant", client_secret, **values))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for manager in made:
        await manager.aclose()


async def test_a_token_is_fetched_once_and_reused(platform: Emulator, make: Make) -> None:
    manager = make()
    first = await manager.get_access_token()
    assert first and await manager.get_access_token() == first
    assert platform.tokens_issued == 1


async def test_a_hundred_callers_at_once_make_one_request(platform: Emulator, make: Make) -> None:
    platform.fail(TOKEN_PATH, "slow", seconds=0.2)
    manager = make()
    tokens = await asyncio.gather(*(manager.get_access_token() for _ in range(100)))
    assert len(set(tokens)) == 1
    assert platform.tokens_issued == 1


@pytest.mark.parametrize(
    ("expires_in", "lifetime"), [(7200, 7200.0), (None, 3600.0), ("600", 600.0), (61, 61.0), (10**30, 86_400.0)]
)
async def test_a_token_is_renewed_sixty_seconds_before_it_expires(
    platform: Emulator, make: Make, clock: Clock, expires_in: object, lifetime: float
) -> None:
    platform.token_lifetime = expires_in
    manager = make()
    first = await manager.get_access_token()
    clock.now += lifetime - 60.001
    assert await manager.get_access_token() == first
    clock.now += 0.002
    assert await manager.get_access_token() != first
    assert platform.tokens_issued == 2


@pytest.mark.parametrize("expires_in", [60, 1, 0, -1, -(10**30), "-5"])
async def test_a_token_that_lives_no_longer_than_the_margin_serves_only_those_who_waited(
    platform: Emulator, make: Make, expires_in: object
) -> None:
    platform.token_lifetime = expires_in
    manager = make()
    together = await asyncio.gather(manager.get_access_token(), manager.get_access_token())
    assert together[0] == together[1]
    assert await manager.get_access_token() != together[0]
    assert platform.tokens_issued == 2


async def test_an_invalidated_token_is_replaced_but_not_a_newer_one(platform: Emulator, make: Make) -> None:
    manager = make()
    old = await manager.get_access_token()
    manager.invalidate(old)
    new = await manager.get_access_token()
    assert new != old
    manager.invalidate(old)  # the late answer to a request that still carried the old one
    assert await manager.get_access_token() == new
    assert platform.tokens_issued == 2


async def test_a_failure_reaches_all_who_waited_and_nobody_after_them(platform: Emulator, make: Make) -> None:
    platform.fail(TOKEN_PATH, "status", status=503, retry_after="7")
    manager = make()
    outcomes = await asyncio.gather(*(manager.get_access_token() for _ in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [AccessTokenUnavailable] * 5
    assert isinstance(outcomes[0], AccessTokenUnavailable) and outcomes[0].retry_after == 7.0
    assert await manager.get_access_token()


async def test_a_caller_who_gives_up_does_not_take_the_token_from_the_others(platform: Emulator, make: Make) -> None:
    platform.fail(TOKEN_PATH, "slow", seconds=0.3)
    manager = make()
    impatient = asyncio.create_task(manager.get_access_token())
    patient = asyncio.create_task(manager.get_access_token())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient
    assert platform.tokens_issued == 1


async def test_a_failure_that_nobody_waits_for_any_more_is_silent(
    platform: Emulator, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    platform.fail(TOKEN_PATH, "slow", seconds=0.1)
    platform.fail(TOKEN_PATH, "status", status=500)
    manager = make(timeout_seconds=0.05)
    caller = asyncio.create_task(manager.get_access_token())
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    with pytest.raises(AccessTokenUnavailable):
        await manager.get_access_token()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "status": 500}, AccessTokenUnavailable),
        ({"kind": "status", "status": 429}, AccessTokenUnavailable),
        ({"kind": "status", "status": 400}, AccessTokenRefused),
        ({"kind": "status", "status": 204}, AccessTokenUnavailable),
        ({"kind": "reset"}, AccessTokenUnavailable),
        ({"kind": "slow", "seconds": 0.6}, AccessTokenUnavailable),
        ({"kind": "redirect"}, AccessTokenUnavailable),
        ({"kind": "garbage", "body": "<html>"}, AccessTokenUnavailable),
        ({"kind": "garbage", "body": "[" * 100_000}, AccessTokenUnavailable),
        ({"kind": "garbage", "body": '{"access_token": "a", "expires_in": ' + "9" * 5000 + "}"}, AccessTokenUnavailable),
        ({"kind": "garbage", "body": '{"access_token": "' + "a" * 1_000_000 + '"}'}, AccessTokenUnavailable),
        ({"kind": "garbage", "body": '{"token": "a"}'}, AccessTokenUnavailable),
    ],
)
async def test_a_failing_endpoint_is_a_typed_error(
    platform: Emulator, make: Make, fault: dict[str, object], kind: type[AccessTokenError]
) -> None:
    platform.fail(TOKEN_PATH, **fault)  # type: ignore[arg-type]
    with pytest.raises(kind):
        await make(timeout_seconds=0.5).get_access_token()


async def test_an_endpoint_that_is_not_there_is_a_typed_error(make: Make) -> None:
    with pytest.raises(AccessTokenUnavailable):
        await make(token_url="http://127.0.0.1:9/oauth/token").get_access_token()


async def test_a_wrong_secret_is_refused_and_stands_in_no_error(platform: Emulator, make: Make) -> None:
    wrong = "wrong-canary-secret"
    manager = make(client_secret=wrong)
    with pytest.raises(AccessTokenRefused, match="invalid_client") as refused:
        await manager.get_access_token()
    shown = "".join(traceback.format_exception(refused.value)) + repr(manager)
    encoded = base64.b64encode(f"assistant:{wrong}".encode()).decode()
    assert wrong not in shown and encoded not in shown


def test_credentials_go_one_way_only() -> None:
    basic = ClientCredentials(scope="calendar").request("id", "secret")
    assert base64.b64decode(basic.headers["Authorization"].removeprefix("Basic ")) == b"id:secret"
    assert basic.body == b"grant_type=client_credentials&scope=calendar"
    body = ClientCredentials(authentication="body").request("id", "se cret")
    assert "Authorization" not in body.headers
    assert body.body == b"grant_type=client_credentials&client_id=id&client_secret=se+cret"
    assert "secret" not in repr(basic)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Injected: 1", "ключ", "a\x00", 5, None, ["a"]])
def test_a_token_that_could_not_stand_in_a_header_is_refused(token: object) -> None:
    with pytest.raises(MalformedTokenAnswer):
        ClientCredentials().parse(json.dumps({"access_token": token}).encode())


def test_a_token_of_another_type_is_refused() -> None:
    assert ClientCredentials().parse(b'{"access_token": "a", "token_type": "bearer"}').token == "a"
    with pytest.raises(MalformedTokenAnswer):
        ClientCredentials().parse(b'{"access_token": "a", "token_type": "mac"}')


@pytest.mark.parametrize("unreadable", [None, "soon", "", True, [3600], {}, float("nan"), "1e3", "٣"])
def test_an_unreadable_expires_in_counts_as_absent(unreadable: object) -> None:
    assert lifetime_seconds(unreadable) == DEFAULT_LIFETIME_SECONDS


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.integers().map(str), st.just(10**400)))
def test_a_lifetime_is_never_negative_nor_endless(expires_in: object) -> None:
    assert 0 <= lifetime_seconds(expires_in) <= MAX_LIFETIME_SECONDS
