"""Tokens that several processes share, over a real Redis and a token endpoint on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from generic.faulty_server import Fault

from app.auth.access_tokens import AccessTokenRefused, AccessTokens, AccessTokenUnavailable
from app.auth.grants import NEVER_EXPIRES, IssuedToken
from app.auth.renewal import FeishuRenewal, SlackRenewal
from app.auth.shared_tokens import SharedTokens
from app.auth.static_tokens import REJECTED_SECONDS, StaticTokens
from app.auth.token_endpoint import TokenEndpoint
from app.auth.token_store import TokenStore
from app.auth.vault import Vault
from app.http.outbound import client_for
from app.pipeline.redis_client import connect
from app.platforms.secret_set import SecretSet
from app.settings import RedisSettings
from tests.auth.token_server import FEISHU_PATH, SLACK_PATH, TokenServer

KEY = bytes(32)
SLOTS = {platform: f"{{assistant}}:token:{platform}:T1" for platform in ("feishu", "slack")}
FIRST = IssuedToken("xoxe.xoxb-first", 43_200, "xoxe-1-first")
PATIENT_SECONDS = 10.0


@pytest.fixture
def server() -> Iterator[TokenServer]:
    running = TokenServer()
    yield running
    running.stop()


@dataclass
class Processes:
    """Makes :class:`SharedTokens` as each process has its own, all over the same Redis."""

    redis: Any  # the server
    server: TokenServer
    client: httpx2.AsyncClient

    def __post_init__(self) -> None:
        self.connections: list[Any] = []

    def store(self, vault: Vault | None = None, timeout: float = PATIENT_SECONDS) -> TokenStore:
        settings = RedisSettings(
            redis_url=self.redis.url, redis_password=self.redis.password, redis_timeout_seconds=timeout, redis_cluster=False
        )
        self.connections.append(connect(settings))
        return TokenStore(self.connections[-1], vault or Vault(SecretSet(KEY)))

    def start(
        self, platform: str, *, timeout: float = PATIENT_SECONDS, vault: Vault | None = None, **more: Any
    ) -> SharedTokens:
        path, client_id = (FEISHU_PATH, "cli_a") if platform == "feishu" else (SLACK_PATH, "1.2")
        return SharedTokens(
            platform,
            FeishuRenewal() if platform == "feishu" else SlackRenewal(),
            endpoint=TokenEndpoint(self.client, self.server.url + path, client_id, "secret", timeout_seconds=3.0),
            **{"store": self.store(vault, timeout), **more},
        )

    def field(self, platform: str, name: str, value: object | None = None) -> Any:
        """Read, or set, a field of the team's slot: Redis keeps its own time, so deadlines are moved instead."""
        if value is None:
            return self.redis.command("HGET", SLOTS[platform], name)
        return self.redis.command("HSET", SLOTS[platform], name, str(value))

    def expire(self, platform: str) -> None:
        self.field(platform, "renew_at", 1)
        self.field(platform, "expires_at", 1)


@contextlib.asynccontextmanager
async def processes_over(redis: Any, server: TokenServer) -> AsyncIterator[Processes]:
    async with client_for(server.url) as client:
        made = Processes(redis, server, client)
        yield made
        for connection in made.connections:
            await connection.close()


@pytest.fixture
async def processes(redis_server: Any, server: TokenServer) -> AsyncIterator[Processes]:
    redis_server.command("FLUSHALL")
    async with processes_over(redis_server, server) as made:
        yield made


@pytest.fixture
async def fragile(private_redis: Any, server: TokenServer) -> AsyncIterator[Processes]:
    """Over a Redis that may be paused and killed."""
    async with processes_over(private_redis, server) as made:
        yield made


async def test_what_one_process_fetched_the_others_read(processes: Processes, server: TokenServer) -> None:
    first, second = processes.start("feishu"), processes.start("feishu")
    assert await first.token("T1") == "t-1"
    assert await second.token("T1") == "t-1"
    assert server.requests == 1


async def test_a_token_is_stored_sealed_and_nowhere_in_plain(processes: Processes) -> None:
    store = processes.store()
    await store.install("slack", "T1", FIRST, 7200)
    await processes.start("feishu").token("T1")
    dump = str([processes.redis.command("HGETALL", key) for key in SLOTS.values()])
    assert dump.count("v1.") == 2
    for secret in ("t-1", FIRST.token, FIRST.refresh_token):
        assert str(secret) not in dump


async def test_each_team_has_a_token_of_its_own(processes: Processes, server: TokenServer) -> None:
    tokens = processes.start("feishu")
    assert await tokens.token("T1") != await tokens.token("T2")
    assert server.requests == 2


async def test_callers_and_processes_at_once_make_one_request(processes: Processes, server: TokenServer) -> None:
    server.delay = 0.3
    several = [processes.start("feishu") for _ in range(3)]
    tokens = await asyncio.gather(*(one.token("T1") for one in several for _ in range(20)))
    assert set(tokens) == {"t-1"}
    assert server.requests == 1


async def test_a_token_that_is_due_is_renewed_by_one_while_the_others_go_on_with_it(
    processes: Processes, server: TokenServer
) -> None:
    await processes.start("feishu").token("T1")
    processes.field("feishu", "renew_at", 1)
    server.delay = 0.5
    first, second = processes.start("feishu"), processes.start("feishu")
    renewing = asyncio.create_task(first.token("T1"))
    await server.asked(2)
    assert await second.token("T1") == "t-1"
    assert await renewing == "t-2"
    assert await second.token("T1") == "t-2"
    assert server.requests == 2


async def test_a_token_that_is_due_serves_on_while_the_platform_is_down(processes: Processes, server: TokenServer) -> None:
    await processes.start("feishu").token("T1")
    processes.field("feishu", "renew_at", 1)
    server.faults.append(Fault(FEISHU_PATH, status=503))
    tokens = processes.start("feishu")
    assert [await tokens.token("T1") for _ in range(3)] == ["t-1"] * 3
    assert server.requests == 1  # the one that failed was not counted, and it was not tried again at once
    assert not server.faults


async def test_an_expired_token_is_an_error_while_the_platform_is_down_and_the_next_call_asks_anew(
    processes: Processes, server: TokenServer
) -> None:
    tokens = processes.start("feishu")
    server.faults.append(Fault(FEISHU_PATH, status=503, retry_after="9"))
    with pytest.raises(AccessTokenUnavailable) as failed:
        await tokens.token("T1")
    assert failed.value.retry_after == 9
    assert await tokens.token("T1") == "t-1"  # the lock was given back


async def test_a_refused_application_is_told_so(processes: Processes, server: TokenServer) -> None:
    server.refusal = {"code": 10014, "msg": "app secret invalid"}
    with pytest.raises(AccessTokenRefused, match=r"10014.*check the application's id, secret"):
        await processes.start("feishu").token("T1")


async def test_a_rejected_token_is_forgotten_in_every_process(processes: Processes) -> None:
    first, second = processes.start("feishu"), processes.start("feishu")
    old = await first.token("T1")
    await first.rejected("T1", old)
    assert await second.token("T1") == "t-2"
    assert await first.token("T1") == "t-2"


async def test_a_newer_token_stays_when_an_older_one_is_rejected_late(processes: Processes, server: TokenServer) -> None:
    first, second = processes.start("feishu"), processes.start("feishu")
    old = await first.token("T1")
    await first.rejected("T1", old)
    new = await first.token("T1")
    await second.rejected("T1", old)
    assert await second.token("T1") == new
    assert await first.token("T1") == new
    assert server.requests == 2


async def test_rejecting_what_was_never_stored_changes_nothing(processes: Processes) -> None:
    await processes.start("slack").rejected("T1", "xoxb-unknown")
    assert processes.redis.command("EXISTS", SLOTS["slack"]) == 0


async def test_slack_s_next_pair_is_stored_before_it_is_used(processes: Processes, server: TokenServer) -> None:
    await processes.store().install("slack", "T1", FIRST, 7200)
    processes.expire("slack")
    assert await processes.start("slack").token("T1") == "xoxe.xoxb-1"
    slot = await processes.store().read("slack", "T1")
    assert slot.token is not None
    assert (slot.token.token, slot.token.refresh_token) == ("xoxe.xoxb-1", "xoxe-1-1")
    processes.expire("slack")
    assert await processes.start("slack").token("T1") == "xoxe.xoxb-2"  # with the second refresh token


async def test_slack_s_pair_that_redis_did_not_take_is_kept_and_stored_later(fragile: Processes, server: TokenServer) -> None:
    await fragile.store().install("slack", "T1", FIRST, 7200)
    fragile.expire("slack")
    tokens = fragile.start("slack", timeout=0.2)
    server.delay = 0.3
    asking = asyncio.create_task(tokens.token("T1"))
    await server.asked(1)
    fragile.redis.pause()
    with pytest.raises(AccessTokenUnavailable, match="cannot be stored yet"):
        await asking
    fragile.redis.resume()
    assert await tokens.token("T1") == "xoxe.xoxb-1"
    slot = await fragile.store().read("slack", "T1")
    assert slot.token is not None and slot.token.refresh_token == "xoxe-1-1"
    assert server.requests == 1


async def test_a_refresh_token_that_slack_does_not_know_is_told_with_what_to_do(processes: Processes) -> None:
    await processes.store().install("slack", "T1", IssuedToken("xoxe.xoxb-x", 43_200, "xoxe-1-unknown"), 7200)
    processes.expire("slack")
    tokens = processes.start("slack", how_to_install="open https://a.example/oauth/slack/start")
    with pytest.raises(AccessTokenRefused, match=r"T1.*invalid_refresh_token.*/oauth/slack/start"):
        await tokens.token("T1")


async def test_a_team_that_never_installed_is_told_so_and_nothing_is_asked(processes: Processes, server: TokenServer) -> None:
    with pytest.raises(AccessTokenRefused, match=r"none was ever stored.*install the assistant"):
        await processes.start("slack").token("T9")
    assert server.requests == 0


async def test_an_installed_token_without_rotation_never_expires(processes: Processes, server: TokenServer) -> None:
    await processes.store().install("slack", "T1", IssuedToken("xoxb-static", NEVER_EXPIRES), 7200)
    assert await processes.start("slack").token("T1") == "xoxb-static"
    assert processes.redis.command("HMGET", SLOTS["slack"], "renew_at", "expires_at") == [None, None]
    assert server.requests == 0


async def test_an_installed_token_that_cannot_be_renewed_is_refused_when_rejected_and_tried_again_later(
    processes: Processes,
) -> None:
    await processes.store().install("slack", "T1", IssuedToken("xoxb-static", NEVER_EXPIRES), 7200)
    first, second = processes.start("slack"), processes.start("slack")
    await first.rejected("T1", await first.token("T1"))
    for tokens in (first, second):
        with pytest.raises(AccessTokenRefused, match="does not accept it any more"):
            await tokens.token("T1")
    processes.field("slack", "rejected_at", int((time.time() - REJECTED_SECONDS - 1) * 1000))
    assert await second.token("T1") == "xoxb-static"


async def test_a_new_installation_replaces_what_was_rejected(processes: Processes) -> None:
    store = processes.store()
    await store.install("slack", "T1", IssuedToken("xoxb-old", NEVER_EXPIRES), 7200)
    tokens = processes.start("slack")
    await tokens.rejected("T1", await tokens.token("T1"))
    await store.install("slack", "T1", IssuedToken("xoxb-new", NEVER_EXPIRES), 7200)
    assert await tokens.token("T1") == "xoxb-new"


async def test_the_configured_bot_token_serves_teams_without_an_installation(processes: Processes) -> None:
    static: AccessTokens = StaticTokens("Slack", "SLACK_BOT_TOKEN", "xoxb-configured")
    tokens = processes.start("slack", fallback=static)
    await processes.store().install("slack", "T2", IssuedToken("xoxb-installed", NEVER_EXPIRES), 7200)
    assert await tokens.token("T1") == "xoxb-configured"
    assert await tokens.token("T2") == "xoxb-installed"
    await tokens.rejected("T1", "xoxb-configured")
    with pytest.raises(AccessTokenRefused, match=r"does not accept SLACK_BOT_TOKEN.*enter the new token") as refused:
        await tokens.token("T1")
    assert "xoxb" not in str(refused.value)


async def test_a_static_token_is_tried_again_after_a_minute() -> None:
    now = [0.0]
    tokens = StaticTokens("Slack", "SLACK_BOT_TOKEN", "xoxb-configured", monotonic=lambda: now[0])
    await tokens.rejected("T1", "another")
    assert await tokens.token("T1") == "xoxb-configured"
    await tokens.rejected("T1", "xoxb-configured")
    now[0] = REJECTED_SECONDS - 1
    with pytest.raises(AccessTokenRefused):
        await tokens.token("T1")
    now[0] = REJECTED_SECONDS
    assert await tokens.token("T1") == "xoxb-configured"


# -- the lock -------------------------------------------------------------------------------------------------------------


async def test_a_lock_is_given_once_and_each_time_with_a_higher_fence(processes: Processes) -> None:
    first, second = processes.store(), processes.store()
    claim = await first.claim("slack", "T1", 0, 30)
    assert claim.fence == 1
    refused = await second.claim("slack", "T1", 0, 30)
    assert refused.fence is None and 0 < refused.wait_seconds <= 30
    await first.release("slack", "T1", 1)
    assert (await second.claim("slack", "T1", 0, 30)).fence == 2
    await first.release("slack", "T1", 1)  # late: it is not the first's to give back any more
    assert (await first.claim("slack", "T1", 0, 30)).fence is None


async def test_who_has_seen_an_older_token_gets_no_lock(processes: Processes) -> None:
    store = processes.store()
    await store.install("slack", "T1", FIRST, 7200)
    claim = await store.claim("slack", "T1", 0, 30)
    assert (claim.fence, claim.wait_seconds) == (None, 0)


async def test_when_the_holder_dies_the_next_takes_over(processes: Processes, server: TokenServer) -> None:
    dead = await processes.store().claim("feishu", "T1", 0, 0.5)
    assert dead.fence == 1
    assert await processes.start("feishu").token("T1") == "t-1"
    assert processes.field("feishu", "version") == "2"


async def test_a_holder_that_wakes_late_cannot_put_its_token_over_a_newer_one(processes: Processes) -> None:
    store = processes.store()
    late = await store.claim("slack", "T1", 0, 0.001)
    await asyncio.sleep(0.05)
    newer = await store.claim("slack", "T1", 0, 30)
    assert late.fence is not None and newer.fence is not None
    assert await store.store("slack", "T1", newer.fence, IssuedToken("xoxb-newer", 43_200, "r2"), 60)
    assert not await store.store("slack", "T1", late.fence, IssuedToken("xoxb-late", 43_200, "r1"), 60)
    slot = await store.read("slack", "T1")
    assert slot.token is not None and slot.token.token == "xoxb-newer"


async def test_a_holder_that_wakes_late_may_store_while_nobody_else_has(processes: Processes) -> None:
    """The refresh token was used up for it: what it holds is the only pair that is good."""
    store = processes.store()
    late = await store.claim("slack", "T1", 0, 0.001)
    await asyncio.sleep(0.05)
    newer = await store.claim("slack", "T1", 0, 30)
    assert late.fence is not None and newer.fence is not None
    assert await store.store("slack", "T1", late.fence, IssuedToken("xoxb-late", 43_200, "r1"), 60)
    assert (await store.claim("slack", "T1", late.fence, 30)).fence is None  # the newer lock stands
    assert await store.store("slack", "T1", newer.fence, IssuedToken("xoxb-newer", 43_200, "r2"), 60)


async def test_a_write_whose_answer_was_lost_may_be_repeated(processes: Processes) -> None:
    store = processes.store()
    claim = await store.claim("slack", "T1", 0, 30)
    assert claim.fence is not None
    assert await store.store("slack", "T1", claim.fence, FIRST, 60)
    assert await store.store("slack", "T1", claim.fence, FIRST, 60)


async def test_an_installation_makes_a_renewal_under_way_stale(processes: Processes) -> None:
    store = processes.store()
    claim = await store.claim("slack", "T1", 0, 30)
    await store.install("slack", "T1", FIRST, 7200)
    assert claim.fence is not None
    assert not await store.store("slack", "T1", claim.fence, IssuedToken("xoxb-late", 43_200, "r1"), 60)


async def test_a_process_whose_write_is_stale_uses_the_newer_token(processes: Processes, server: TokenServer) -> None:
    await processes.store().install("slack", "T1", FIRST, 7200)
    processes.expire("slack")
    server.delay = 0.4
    asking = asyncio.create_task(processes.start("slack").token("T1"))
    await server.asked(1)
    await processes.store().install("slack", "T1", IssuedToken("xoxb-installed", NEVER_EXPIRES), 7200)
    assert await asking == "xoxb-installed"


# -- Redis ----------------------------------------------------------------------------------------------------------------


async def test_a_restart_of_redis_loses_neither_token_nor_fence(fragile: Processes, server: TokenServer) -> None:
    await fragile.store().install("slack", "T1", FIRST, 7200)
    fragile.expire("slack")
    claim = await fragile.store().claim("slack", "T1", 1, 0.2)
    fragile.redis.restart()
    assert claim.fence == 2
    assert await fragile.start("slack").token("T1") == "xoxe.xoxb-1"
    assert fragile.field("slack", "version") == "3"


async def test_a_restart_in_the_middle_of_a_renewal_still_stores_its_pair(fragile: Processes, server: TokenServer) -> None:
    await fragile.store().install("slack", "T1", FIRST, 7200)
    fragile.expire("slack")
    server.delay = 1.0
    asking = asyncio.create_task(fragile.start("slack").token("T1"))
    await server.asked(1)
    await asyncio.to_thread(fragile.redis.restart)
    assert await asking == "xoxe.xoxb-1"
    slot = await fragile.store().read("slack", "T1")
    assert slot.token is not None and slot.token.refresh_token == "xoxe-1-1"


async def test_without_redis_a_process_goes_on_with_its_own_token(fragile: Processes, server: TokenServer) -> None:
    await fragile.store().install("slack", "T1", FIRST, 7200)
    now = [0.0]
    tokens = fragile.start("slack", timeout=0.1, monotonic=lambda: now[0])
    assert await tokens.token("T1") == FIRST.token
    fragile.redis.pause()
    now[0] = 40_000.0  # due long ago, good until 43,200
    assert await tokens.token("T1") == FIRST.token
    now[0] = 44_000.0
    with pytest.raises(AccessTokenUnavailable, match="Redis is away"):
        await tokens.token("T1")
    assert server.requests == 0


async def test_without_redis_feishu_s_token_is_fetched_for_the_process_alone(fragile: Processes, server: TokenServer) -> None:
    tokens = fragile.start("feishu", timeout=0.1)
    fragile.redis.pause()
    assert [await tokens.token("T1") for _ in range(3)] == ["t-1"] * 3
    assert server.requests == 1


async def test_feishu_needs_no_store(processes: Processes, server: TokenServer) -> None:
    tokens = processes.start("feishu", store=None)
    assert [await tokens.token("T1") for _ in range(3)] == ["t-1"] * 3
    await tokens.rejected("T1", "t-1")
    assert await tokens.token("T1") == "t-2"


async def test_a_token_that_was_rejected_while_redis_was_away_is_not_used_again(
    fragile: Processes, server: TokenServer
) -> None:
    tokens = fragile.start("feishu", timeout=0.1)
    assert await tokens.token("T1") == "t-1"
    fragile.redis.pause()
    await tokens.rejected("T1", "t-1")
    fragile.redis.resume()
    assert await tokens.token("T1") == "t-2"


# -- keys -----------------------------------------------------------------------------------------------------------------


async def test_a_value_that_was_tampered_with_counts_as_absent(processes: Processes, caplog: pytest.LogCaptureFixture) -> None:
    await processes.start("feishu").token("T1")
    sealed = processes.field("feishu", "value")
    processes.field("feishu", "value", sealed[:-4] + ("AAAA" if sealed[-4:] != "AAAA" else "BBBB"))
    assert await processes.start("feishu").token("T1") == "t-2"


async def test_a_value_copied_from_another_team_counts_as_absent(processes: Processes) -> None:
    await processes.store().install("slack", "T1", FIRST, 7200)
    processes.redis.command("COPY", SLOTS["slack"], SLOTS["slack"].replace("T1", "T2"))
    with pytest.raises(AccessTokenRefused, match="does not open with the TOKEN_KEY given"):
        await processes.start("slack").token("T2")


async def test_what_a_previous_key_sealed_is_sealed_anew_when_it_is_read(processes: Processes) -> None:
    new = b"\x07" * 32
    await processes.store().install("slack", "T1", IssuedToken("xoxb-static", NEVER_EXPIRES), 7200)
    both = processes.start("slack", vault=Vault(SecretSet(new, (KEY,))))
    assert await both.token("T1") == "xoxb-static"
    assert await processes.start("slack", vault=Vault(SecretSet(new))).token("T1") == "xoxb-static"


# -- two real processes -----------------------------------------------------------------------------------------------------

Ask = Callable[..., list[str]]


@pytest.fixture
def ask(server: TokenServer) -> Ask:
    def run(platform: str, redis: Any, *, cluster: bool) -> list[str]:
        """The different tokens that two processes got, which asked at the same time."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "REDIS_URL": redis.url,
            "REDIS_PASSWORD": redis.password,
            "REDIS_CLUSTER": str(cluster).lower(),
            "REDIS_TIMEOUT_SECONDS": "5",
        }
        url = server.url + (FEISHU_PATH if platform == "feishu" else SLACK_PATH)
        command = [sys.executable, str(Path(__file__).with_name("token_process.py")), platform, url]
        started = [
            subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for process in started:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [token for process in started for token in json.loads(process.communicate(timeout=60)[0].splitlines()[-1])]

    return run


async def install_expired(redis: Any, *, cluster: bool) -> None:
    settings = RedisSettings(
        redis_url=redis.url, redis_password=redis.password, redis_timeout_seconds=PATIENT_SECONDS, redis_cluster=cluster
    )
    client = connect(settings)
    await TokenStore(client, Vault(SecretSet(KEY))).install("slack", "T1", FIRST, 7200)
    await client.close()
    for name in ("renew_at", "expires_at"):
        redis.command("HSET", SLOTS["slack"], name, "1")


@pytest.mark.parametrize("mode", ["single", "cluster"])
async def test_an_expired_token_is_refreshed_once_across_two_processes(
    request: pytest.FixtureRequest, server: TokenServer, ask: Ask, mode: str
) -> None:
    redis = request.getfixturevalue("private_redis" if mode == "single" else "cluster_redis")
    await install_expired(redis, cluster=mode == "cluster")
    server.delay = 0.5
    assert await asyncio.to_thread(ask, "slack", redis, cluster=mode == "cluster") == ["xoxe.xoxb-1"] * 2
    assert server.requests == 1


async def test_a_first_token_is_fetched_once_across_two_processes(private_redis: Any, server: TokenServer, ask: Ask) -> None:
    server.delay = 0.5
    assert await asyncio.to_thread(ask, "feishu", private_redis, cluster=False) == ["t-1"] * 2
    assert server.requests == 1
