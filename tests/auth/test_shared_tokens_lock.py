"""The lock of a renewal: who holds it, who dies with it, and who wakes too late."""

from __future__ import annotations

import asyncio

from app.auth.grants import NEVER_EXPIRES, IssuedToken
from tests.auth.token_processes import FIRST, Processes
from tests.auth.token_server import TokenServer


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
    await store.reject("slack", "T1", claim.fence)
    assert await store.store("slack", "T1", claim.fence, FIRST, 60)
    slot = await store.read("slack", "T1")
    assert slot.token is not None and slot.token.rejected_ago is not None  # it undoes nothing that came between


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


async def test_rejecting_an_older_version_leaves_the_newer_token_as_it_is(processes: Processes) -> None:
    store = processes.store()
    await store.install("slack", "T1", FIRST, 7200)
    older = (await store.read("slack", "T1")).version
    await store.install("slack", "T1", IssuedToken("xoxb-newer", 43_200, "r2"), 7200)
    await store.reject("slack", "T1", older)
    slot = await store.read("slack", "T1")
    assert slot.token is not None and slot.token.rejected_ago is None
    await store.reject("slack", "T1", slot.version)
    rejected = (await store.read("slack", "T1")).token
    assert rejected is not None and rejected.rejected_ago is not None
