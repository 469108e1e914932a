from __future__ import annotations

import asyncio

import pytest

from app.pipeline.single_flight import SingleFlight


class Work:
    """Counts how often it begins and ends; waits to be let go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = self.ended = 0
        self.go = asyncio.Event()
        self._error = error

    async def __call__(self) -> int:
        self.begun += 1
        try:
            await self.go.wait()
            if self._error:
                raise self._error
            return self.begun
        finally:
            self.ended += 1


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_those_who_ask_for_the_same_at_once_share_one_piece_of_work() -> None:
    flights, work = SingleFlight[int](), Work()
    callers = [asyncio.create_task(flights.run("a", work)) for _ in range(20)]
    await turns()
    work.go.set()
    found = await asyncio.gather(*callers)
    assert work.begun == 1
    assert [led for _, led in found].count(True) == 1
    assert {result for result, _ in found} == {1}
    assert await flights.run("a", work) == (2, True), "whoever comes later begins anew"


async def test_another_key_is_other_work() -> None:
    flights, work = SingleFlight[int](), Work()
    work.go.set()
    await asyncio.gather(flights.run("a", work), flights.run("b", work))
    assert work.begun == 2


async def test_all_are_told_of_a_failure_and_the_next_one_begins_anew() -> None:
    flights, work = SingleFlight[int](), Work(ValueError("no"))
    callers = [asyncio.create_task(flights.run("a", work)) for _ in range(3)]
    await turns()
    work.go.set()
    assert [type(found) for found in await asyncio.gather(*callers, return_exceptions=True)] == [ValueError] * 3
    with pytest.raises(ValueError, match="no"):
        await flights.run("a", work)
    assert work.begun == 2


async def test_the_one_who_began_may_leave_and_the_others_are_answered() -> None:
    flights, work = SingleFlight[int](), Work()
    first, second = (asyncio.create_task(flights.run("a", work)) for _ in range(2))
    await turns()
    first.cancel()
    await turns()
    work.go.set()
    assert await second == (1, False)
    assert first.cancelled()


async def test_work_ends_with_the_last_who_waits_for_it() -> None:
    flights, work = SingleFlight[int](), Work()
    callers = [asyncio.create_task(flights.run("a", work)) for _ in range(3)]
    await turns()
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    assert (work.begun, work.ended) == (1, 1)
    work.go.set()
    assert await flights.run("a", work) == (2, True)
