"""Many callers share one write: each gets its own result, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.pipeline.group_commit import GroupCommit


class Disk:
    """Commits when the test lets it; records the groups."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate = asyncio.Event()
        self.failure: Exception | None = None

    async def commit(self, items: Sequence[int]) -> list[str]:
        self.groups.append(list(items))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return [f"result of {item}" for item in items]


async def submitted(group: GroupCommit[int, str], *items: int) -> list[asyncio.Task[str]]:
    """Callers who all wait by now."""
    tasks = [asyncio.create_task(group.submit(item)) for item in items]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_who_comes_during_a_write_shares_the_next_and_each_gets_its_own_result() -> None:
    disk = Disk()
    group = GroupCommit(disk.commit)
    tasks = await submitted(group, 1)
    tasks += await submitted(group, 2, 3, 4)
    disk.gate.set()
    assert await asyncio.gather(*tasks) == [f"result of {number}" for number in (1, 2, 3, 4)]
    assert disk.groups == [[1], [2, 3, 4]]


async def test_a_group_has_a_largest_size_and_keeps_the_order() -> None:
    disk = Disk()
    disk.gate.set()
    group = GroupCommit(disk.commit, largest=2)
    tasks = await submitted(group, *range(5))
    assert await asyncio.gather(*tasks) == [f"result of {number}" for number in range(5)]
    assert [len(group) for group in disk.groups] == [2, 2, 1]
    assert [item for group in disk.groups for item in group] == list(range(5))


async def test_a_failure_is_told_to_all_who_wait_and_to_nobody_later() -> None:
    disk = Disk()
    disk.failure = OSError("full")
    group = GroupCommit(disk.commit)
    tasks = await submitted(group, 1)
    tasks += await submitted(group, 2, 3)
    disk.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(error) for error in found] == ["full"] * 3
    assert disk.groups == [[1]]
    disk.failure = None
    assert await group.submit(4) == "result of 4"


async def test_a_caller_who_gives_up_leaves_the_others_alone() -> None:
    disk = Disk()
    group = GroupCommit(disk.commit)
    first = await submitted(group, 1)
    patient, hasty, other = await submitted(group, 2, 3, 4)
    hasty.cancel()
    first[0].cancel()
    await asyncio.sleep(0)
    disk.gate.set()
    assert await asyncio.gather(patient, other) == ["result of 2", "result of 4"]
    assert disk.groups == [[1], [2, 3, 4]]


async def test_a_caller_who_gives_up_leaves_the_others_alone_in_a_failure_too() -> None:
    disk = Disk()
    disk.failure = OSError("full")
    group = GroupCommit(disk.commit)
    patient, hasty = await submitted(group, 1, 2)
    hasty.cancel()
    disk.gate.set()
    with pytest.raises(OSError, match="full"):
        await patient


async def test_a_commit_that_leaves_a_result_out_fails_its_group_instead_of_leaving_it_waiting() -> None:
    async def forgetful(items: Sequence[int]) -> list[str]:
        return ["only one"]

    group = GroupCommit(forgetful)
    tasks = await submitted(group, 1, 2)
    async with asyncio.timeout(5):
        found = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in found} == {ValueError}


def test_nobody_waits_on_when_the_loop_closes() -> None:
    ended: list[str] = []

    async def caller(group: GroupCommit[int, str], item: int) -> None:
        try:
            await group.submit(item)
        except asyncio.CancelledError:
            ended.append(f"{item} was told")
            raise

    async def process() -> None:
        disk = Disk()
        group = GroupCommit(disk.commit)
        callers = [asyncio.create_task(caller(group, item)) for item in (1, 2)]
        await asyncio.sleep(0.01)
        callers += [asyncio.create_task(caller(group, 3))]
        await asyncio.sleep(0.01)
        flight = group._flight
        assert flight is not None
        flight.cancel()  # as asyncio.run does with what is left
        await asyncio.wait(callers, timeout=5)
        assert all(task.cancelled() for task in callers)

    asyncio.run(process())
    assert sorted(ended) == ["1 was told", "2 was told", "3 was told"]
