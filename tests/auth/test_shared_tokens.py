"""Tokens that several processes share, over a real Redis and a token endpoint on a socket."""

from __future__ import annotations

import asyncio
import time

import pytest
from generic.faulty_server import Fault

from app.auth.access_tokens import AccessTokenRefused, AccessTokens, AccessTokenUnavailable
from app.auth.grants import NEVER_EXPIRES, IssuedToken
from app.auth.static_tokens import REJECTED_SECONDS, StaticTokens
from app.auth.vault import Vault
from app.platforms.secret_set import SecretSet
from app.telemetry.audit.record import AuditUnavailable
from tests.auth.token_processes import FIRST, KEY, SLOTS, Processes
from tests.auth.token_server import FEISHU_PATH, SLACK_PATH, TokenServer


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
    tokens = fragile.start("slack")
    server.delay = 0.5
    asking = asyncio.create_task(tokens.token("T1"))
    await server.asked(1)
    fragile.redis.kill()
    with pytest.raises(AccessTokenUnavailable, match="cannot be stored yet"):
        await asking
    fragile.redis.start()
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


async def test_a_refresh_token_that_another_has_used_up_is_no_refusal_once_its_successor_is_stored(
    processes: Processes, server: TokenServer
) -> None:
    store = processes.store()
    await store.install("slack", "T1", FIRST, 7200)
    processes.expire("slack")
    late = await store.claim("slack", "T1", 1, 0.001)  # its exchange goes through, and it falls asleep before it stores
    server.refresh_tokens = {"xoxe-1-second"}
    server.delay = 0.4
    asking = asyncio.create_task(processes.start("slack").token("T1"))
    await server.asked(1)
    assert late.fence is not None
    assert await store.store("slack", "T1", late.fence, IssuedToken("xoxe.xoxb-second", 43_200, "xoxe-1-second"), 7200)
    assert await asking == "xoxe.xoxb-second"


async def test_a_refresh_token_whose_answer_was_lost_is_not_offered_again_at_once(
    processes: Processes, server: TokenServer
) -> None:
    await processes.store().install("slack", "T1", FIRST, 7200)
    processes.expire("slack")
    server.faults.append(Fault(SLACK_PATH, "reset"))
    with pytest.raises(AccessTokenUnavailable):
        await processes.start("slack").token("T1")
    assert (await processes.store().claim("slack", "T1", 1, 30)).fence is None
    processes.field("slack", "held_until", 1)
    assert await processes.start("slack").token("T1") == "xoxe.xoxb-1"


async def test_each_renewal_is_told_to_the_audit_log_and_goes_on_without_it(processes: Processes) -> None:
    told: list[tuple[str, str]] = []

    class Log:
        async def record(self, action: str, *, subject: str = "", **rest: object) -> None:
            told.append((action, subject))
            raise AuditUnavailable("away")

    tokens = processes.start("feishu", audit=Log())
    assert await tokens.token("T1") == await tokens.token("T1") == "t-1"
    assert told == [("token.refreshed", "T1")]


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
    now = [0.0]
    tokens = processes.start("feishu", store=None, monotonic=lambda: now[0])
    assert [await tokens.token("T1") for _ in range(3)] == ["t-1"] * 3
    now[0] = 7000.0
    server.faults.append(Fault(FEISHU_PATH, status=503))
    assert await tokens.token("T1") == "t-1"  # due, and good for 200 seconds more
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
