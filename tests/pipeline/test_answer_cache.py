"""Answers told again: a real Redis, single and in cluster mode, a real HTTP service for a model, and processes that die."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from generic.faulty_server import Answer
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from app.pipeline.answer import AnswerClient, InferenceFailed, InferenceTimedOut, InferenceUnavailable, QuestionTooLong
from app.pipeline.answer_cache import MAX_ANSWER_BYTES, CachedAnswers, answering, is_kept
from app.pipeline.answer_metrics import AnswerCacheMetrics
from app.pipeline.answer_outcome import text_of
from app.pipeline.answer_store import PREFIX, AnswerStore, Hit, Lead, Told, Wait
from app.pipeline.model_identity import ModelIdentity
from app.pipeline.phrases import CHINESE, ENGLISH
from app.pipeline.redis_breaker import Breaker
from app.pipeline.redis_client import RedisClient, connect
from app.settings import AnswerSettings, RedisSettings

PATIENT_SECONDS = 60
QUESTION = "What is the capital of France?"


@dataclass
class Process:
    """What one process has: its own connections, its own knowledge of the model, its own counters."""

    answers: CachedAnswers
    store: AnswerStore
    registry: CollectorRegistry

    async def ask(self, question: str = QUESTION, context: str = "", **more: Any) -> str:
        return await self.answers.answer(question, context, **more)

    def counted(self) -> dict[str, int]:
        """By source, without those that are 0."""
        return self._samples("assistant_answer_cache", "source")

    def failures(self) -> dict[str, int]:
        return self._samples("assistant_answer_cache_failures", "step")

    def _samples(self, name: str, label: str) -> dict[str, int]:
        metric = next(metric for metric in self.registry.collect() if metric.name == name)
        totals = [sample for sample in metric.samples if sample.name.endswith("_total") and sample.value]
        return {sample.labels[label]: int(sample.value) for sample in totals}


Start = Callable[..., Process]


@pytest.fixture
async def start(model_server: Any) -> AsyncIterator[Start]:
    """``start(server, **changes)``: a :class:`Process` on that Redis."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx2.AsyncClient())

        def make(server: Any, **changes: Any) -> Process:
            values = {"live_seconds": 3600, "entries": 100, "wait_seconds": PATIENT_SECONDS, "lease_seconds": 30} | changes
            redis = connected(server, values.pop("cluster", False), values.pop("redis_timeout_seconds", PATIENT_SECONDS / 10))
            stack.push_async_callback(redis.close)
            store = AnswerStore(Breaker(redis), live_seconds=values.pop("live_seconds"), entries=values.pop("entries"))
            identity = ModelIdentity(client, model_server.url, wait_seconds=PATIENT_SECONDS)
            stack.push_async_callback(identity.aclose)
            registry = CollectorRegistry()
            model = AnswerClient(client, model_server.url, SecretStr("k"), PATIENT_SECONDS)
            return Process(CachedAnswers(model, store, identity, AnswerCacheMetrics(registry), **values), store, registry)

        yield make


def connected(server: Any, cluster: bool, seconds: float) -> RedisClient:
    settings = {"redis_url": server.url, "redis_password": server.password, "redis_timeout_seconds": seconds}
    return connect(RedisSettings(redis_cluster=cluster, **settings))


@pytest.fixture
def emptied(redis_server: Any) -> Any:
    redis_server.command("FLUSHALL")
    return redis_server


@pytest.fixture
def process(start: Start, emptied: Any) -> Process:
    return start(emptied)


@pytest.fixture
def other(start: Start, emptied: Any, process: Process) -> Process:
    return start(emptied)


@pytest.fixture(params=["single", "cluster"])
def mode(request: pytest.FixtureRequest) -> tuple[Any, bool]:
    """A Redis, and whether it speaks the cluster protocol."""
    cluster = request.param == "cluster"
    return request.getfixturevalue("cluster_redis" if cluster else "emptied"), cluster


async def test_the_second_who_asks_is_told_what_the_first_was(process: Process, other: Process, model_server: Any) -> None:
    assert await process.ask() == "Paris."
    model_server.text = "Lyon."
    assert await process.ask() == "Paris."
    assert await other.ask("what is the  capital of france") == "Paris."
    assert len(model_server.prompts) == 1
    assert (process.counted(), other.counted()) == ({"miss": 1, "hit": 1}, {"hit": 1})


@pytest.mark.parametrize(
    "changes", [{"question": "Why?"}, {"context": "Europe"}, {"tenant": "other"}, {"instructions": "Be brief."}]
)
async def test_what_is_asked_otherwise_or_by_another_tenant_is_asked_anew(
    process: Process, model_server: Any, changes: dict[str, str]
) -> None:
    await process.ask()
    model_server.text = "another answer"
    assert await process.ask(**changes) == "another answer"
    assert len(model_server.prompts) == 2
    assert await process.ask() == "Paris."


async def test_another_model_is_asked_anew_and_the_first_ones_answers_are_found_again(
    start: Start, emptied: Any, model_server: Any
) -> None:
    assert await start(emptied).ask() == "Paris."
    model_server.digest, model_server.text = "b" * 64, "Paris, says b."
    process = start(emptied)
    assert await process.ask() == "Paris, says b."
    assert process.counted() == {"miss": 1}
    model_server.digest = "a" * 64
    assert await start(emptied).ask() == "Paris."
    assert len(model_server.prompts) == 2


async def test_an_answer_is_kept_under_the_model_that_gave_it_not_the_one_that_was_looked_for(
    process: Process, other: Process, start: Start, emptied: Any, model_server: Any
) -> None:
    model_server.gate.clear()
    first = asyncio.create_task(process.ask())
    await asyncio.to_thread(model_server.asked.wait, PATIENT_SECONDS)
    second = asyncio.create_task(other.ask())
    await waits(other)
    model_server.digest, model_server.text = "b" * 64, "Paris, says b."
    model_server.gate.set()
    assert await asyncio.gather(first, second) == ["Paris, says b."] * 2
    assert await start(emptied).ask() == "Paris, says b."
    assert len(model_server.prompts) == 1
    model_server.digest, model_server.text = "a" * 64, "Paris, says a."
    assert await start(emptied).ask() == "Paris, says a."


async def test_without_a_digest_nothing_is_looked_for_and_nothing_kept(
    process: Process, model_server: Any, emptied: Any
) -> None:
    model_server.digest = None
    assert [await process.ask(), await process.ask()] == ["Paris."] * 2
    assert len(model_server.prompts) == 2
    assert process.counted() == {"unidentified": 2}
    assert emptied.command("KEYS", "*") == []


async def test_a_fresh_answer_is_the_models_and_replaces_the_one_kept(process: Process, model_server: Any) -> None:
    await process.ask()
    model_server.text = "Paris, still."
    assert await process.ask(fresh=True) == "Paris, still."
    assert await process.ask() == "Paris, still."
    assert process.counted() == {"miss": 1, "bypass": 1, "hit": 1}


async def test_an_answer_lives_for_its_time(start: Start, emptied: Any, model_server: Any) -> None:
    process = start(emptied, live_seconds=100)
    await process.ask()
    (key,) = emptied.command("KEYS", f"{PREFIX}:answer:*")
    assert 90_000 < emptied.command("PTTL", key) <= 100_000
    for index in ("used", "ends"):
        assert 90_000 < emptied.command("PTTL", f"{PREFIX}:{index}") <= 100_000, "nothing outlives the last answer"
    emptied.command("PEXPIRE", key, 1)
    await expired(emptied, key)
    model_server.text = "Paris, again."
    assert await process.ask() == "Paris, again."


async def test_the_least_recently_used_goes_for_one_more(start: Start, emptied: Any, model_server: Any) -> None:
    process = start(emptied, entries=3)
    for question in ("one", "two", "three"):
        await process.ask(question)
        age(emptied, 10_000)
    await process.ask("one")  # used again: two is now the oldest
    await process.ask("four")
    assert emptied.command("ZCARD", f"{PREFIX}:used") == emptied.command("ZCARD", f"{PREFIX}:ends") == 3
    assert len(emptied.command("KEYS", f"{PREFIX}:answer:*")) == 3
    asked = len(model_server.prompts)
    for question in ("one", "three", "four"):
        await process.ask(question)
    assert len(model_server.prompts) == asked
    await process.ask("two")
    assert len(model_server.prompts) == asked + 1


async def test_the_bound_counts_none_that_expired(start: Start, emptied: Any, model_server: Any) -> None:
    process = start(emptied, entries=2)
    await process.ask("one")
    (key,) = emptied.command("ZRANGE", f"{PREFIX}:used", 0, -1)
    await process.ask("two")
    emptied.command("DEL", f"{PREFIX}:answer:{key}")
    emptied.command("ZADD", f"{PREFIX}:ends", 1, key)
    age(emptied, 10_000)
    emptied.command("ZINCRBY", f"{PREFIX}:used", 5_000, key)  # used after the other, and yet gone
    await process.ask("three")
    asked = len(model_server.prompts)
    await process.ask("two")
    assert len(model_server.prompts) == asked, "the expired one made room, not the live one"


@pytest.mark.parametrize(
    "text", ["", "  ", CHINESE.not_answered, ENGLISH.not_answered, "x" * (MAX_ANSWER_BYTES + 1), "half \ud800"]
)
def test_what_is_no_answer_or_does_not_fit_is_not_kept(text: str) -> None:
    assert not is_kept(text)
    assert is_kept("Paris.")
    assert is_kept("x" * MAX_ANSWER_BYTES)


async def test_fifty_who_ask_at_once_in_five_processes_cost_one_inference(mode: tuple[Any, bool], model_server: Any) -> None:
    server, cluster = mode
    model_server.gate.clear()
    processes = [await spawn(server, model_server, cluster=cluster, count=10) for _ in range(5)]
    for process in processes:
        assert await process.stdout.readline() == b"asking\n"
    await asyncio.to_thread(model_server.asked.wait, PATIENT_SECONDS)
    model_server.gate.set()
    outputs = await asyncio.gather(*(process.communicate() for process in processes))
    results = [json.loads(output) for output, _ in outputs]
    assert [answer for result in results for answer in result["answers"]] == ["Paris."] * 50
    assert len(model_server.prompts) == 1
    assert sum(result["counted"].get("miss", 0) for result in results) == 1
    assert sum(result["counted"].get("wait", 0) + result["counted"].get("hit", 0) for result in results) == 49


async def test_when_the_one_who_asks_is_killed_another_takes_over(start: Start, emptied: Any, model_server: Any) -> None:
    model_server.gate.clear()
    leader = await spawn(emptied, model_server, lease_seconds=1)
    await asyncio.to_thread(model_server.asked.wait, PATIENT_SECONDS)
    processes = [start(emptied, lease_seconds=1) for _ in range(3)]
    waiting = [asyncio.create_task(process.ask()) for process in processes for _ in range(5)]
    for process in processes:
        await waits(process)
    leader.send_signal(signal.SIGKILL)
    await leader.wait()
    model_server.gate.set()
    assert await asyncio.gather(*waiting) == ["Paris."] * 15
    assert len(model_server.prompts) == 2
    assert sum(process.counted().get("miss", 0) for process in processes) == 1


async def test_one_who_was_stopped_and_wakes_late_is_answered_and_disturbs_nobody(
    start: Start, emptied: Any, model_server: Any
) -> None:
    model_server.gate.clear()
    stopped = await spawn(emptied, model_server, lease_seconds=1)
    await asyncio.to_thread(model_server.asked.wait, PATIENT_SECONDS)
    stopped.send_signal(signal.SIGSTOP)
    process, waiter = start(emptied, lease_seconds=30), start(emptied)
    second = asyncio.create_task(process.ask())
    async with asyncio.timeout(PATIENT_SECONDS):
        while len(model_server.prompts) < 2:  # noqa: ASYNC110 (another process's state)
            await asyncio.sleep(0.01)
    third = asyncio.create_task(waiter.ask())
    await waits(waiter)
    (lease,) = emptied.command("KEYS", f"{PREFIX}:lease:*")
    token = emptied.command("GET", lease)
    stopped.send_signal(signal.SIGCONT)
    await asyncio.sleep(1)
    assert emptied.command("GET", lease) == token, "the lease is not renewed, nor given back, by the one who lost it"
    model_server.gate.set()
    assert await asyncio.gather(second, third) == ["Paris."] * 2
    output, _ = await stopped.communicate()
    assert json.loads(output.splitlines()[-1])["answers"] == ["Paris."]
    assert len(model_server.prompts) == 2


async def test_one_who_asks_for_longer_than_the_lease_keeps_it(start: Start, emptied: Any, model_server: Any) -> None:
    model_server.gate.clear()
    leader, waiter = start(emptied, lease_seconds=0.6), start(emptied, lease_seconds=0.6)
    first = asyncio.create_task(leader.ask())
    await asyncio.to_thread(model_server.asked.wait, PATIENT_SECONDS)
    (lease,) = emptied.command("KEYS", f"{PREFIX}:lease:*")
    second = asyncio.create_task(waiter.ask())
    token = emptied.command("GET", lease)
    await asyncio.sleep(1.8)
    assert emptied.command("GET", lease) == token
    model_server.gate.set()
    assert await asyncio.gather(first, second) == ["Paris."] * 2
    assert len(model_server.prompts) == 1


async def test_when_the_one_who_asks_is_called_off_the_next_takes_over_at_once(
    start: Start, emptied: Any, model_server: Any
) -> None:
    process, other = start(emptied, lease_seconds=600), start(emptied, lease_seconds=600)
    model_server.gate.clear()
    first = asyncio.create_task(process.ask())
    await asyncio.to_thread(model_server.asked.wait, PATIENT_SECONDS)
    second = asyncio.create_task(other.ask())
    await waits(other)
    first.cancel()
    await asyncio.wait({first})
    model_server.gate.set()
    assert await second == "Paris."
    assert other.counted() == {"miss": 1}


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Answer(503, {}, {"Retry-After": "7"}), InferenceUnavailable),
        (Answer(500, {}), InferenceFailed),
        (Answer(400, {"error": {"code": "context_length_exceeded"}}), QuestionTooLong),
    ],
)
async def test_when_the_model_fails_all_who_waited_are_told_and_nobody_asks_again(
    process: Process, other: Process, model_server: Any, failure: Answer, kind: type[Exception]
) -> None:
    model_server.gate.clear()
    first = asyncio.create_task(process.ask())
    await asyncio.to_thread(model_server.asked.wait, PATIENT_SECONDS)
    others = [asyncio.create_task(other.ask()) for _ in range(5)]
    await waits(other)
    model_server.failure = failure
    model_server.gate.set()
    found = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(error) for error in found] == [kind] * 6
    assert {str(error) for error in found} == {str(found[0])}
    assert {getattr(error, "retry_after", None) for error in found} == {getattr(found[0], "retry_after", None)}
    assert len(model_server.prompts) == 1
    model_server.failure = None
    assert await other.ask() == "Paris.", "whoever asks later is not told of it"


async def test_an_answer_that_is_not_kept_still_reaches_those_who_waited(
    process: Process, other: Process, model_server: Any, emptied: Any
) -> None:
    model_server.gate.clear()
    first = asyncio.create_task(process.ask())
    await asyncio.to_thread(model_server.asked.wait, PATIENT_SECONDS)
    others = [asyncio.create_task(other.ask()) for _ in range(5)]
    await waits(other)
    model_server.text = ""
    model_server.gate.set()
    assert await asyncio.gather(first, *others) == [""] * 6
    assert len(model_server.prompts) == 1
    assert emptied.command("KEYS", f"{PREFIX}:answer:*") == []


async def test_whoever_waits_in_vain_is_told_that_it_took_too_long(start: Start, emptied: Any, model_server: Any) -> None:
    model_server.gate.clear()
    first = asyncio.create_task(start(emptied).ask())
    await asyncio.to_thread(model_server.asked.wait, PATIENT_SECONDS)
    with pytest.raises(InferenceTimedOut, match="was not answered within"):
        await start(emptied, wait_seconds=0.1).ask()
    model_server.gate.set()
    assert await first == "Paris."


async def test_while_redis_is_away_the_model_is_asked_and_it_is_counted(
    start: Start, private_redis: Any, model_server: Any
) -> None:
    process = start(private_redis, redis_timeout_seconds=1)
    await process.ask()
    private_redis.kill()
    model_server.text = "Paris, without a cache."
    assert await process.ask() == "Paris, without a cache."
    assert process.counted() == {"miss": 1, "unavailable": 1}
    assert process.failures() == {"look": 1}
    private_redis.start()
    assert await process.ask() == "Paris.", "it comes back by itself"


async def test_a_redis_that_hangs_costs_its_time_out_once_and_not_for_every_question(
    start: Start, private_redis: Any, model_server: Any
) -> None:
    process = start(private_redis, redis_timeout_seconds=0.25)
    private_redis.pause()
    assert [await process.ask(str(number)) for number in range(5)] == ["Paris."] * 5
    assert process.counted() == {"unavailable": 5}
    private_redis.resume()


async def test_a_full_redis_still_tells_what_it_keeps_and_asks_the_model_for_the_rest(
    start: Start, private_redis: Any, model_server: Any
) -> None:
    process = start(private_redis)
    await process.ask()
    age(private_redis, 10_000)
    private_redis.command("CONFIG", "SET", "maxmemory", 1)
    assert await process.ask() == "Paris."
    assert await process.ask("Why?") == "Paris."
    assert process.counted() == {"miss": 1, "hit": 1, "unavailable": 1}
    assert process.failures() == {"look": 1}


async def test_a_redis_that_becomes_full_meanwhile_hands_the_answer_to_those_who_wait(
    start: Start, private_redis: Any, model_server: Any
) -> None:
    process, other = start(private_redis), start(private_redis)
    model_server.gate.clear()
    first = asyncio.create_task(process.ask())
    await asyncio.to_thread(model_server.asked.wait, PATIENT_SECONDS)
    second = asyncio.create_task(process.ask())
    private_redis.command("CONFIG", "SET", "maxmemory", 1)
    model_server.gate.set()
    assert await asyncio.gather(first, second) == ["Paris."] * 2
    assert process.failures() == {"keep": 1}
    assert private_redis.command("KEYS", f"{PREFIX}:lease:*") == []
    assert len(private_redis.command("KEYS", f"{PREFIX}:outcome:*")) == 1
    assert await other.ask() == "Paris."


async def test_each_step_in_both_modes_of_redis(start: Start, mode: tuple[Any, bool]) -> None:
    server, cluster = mode
    store = start(server, cluster=cluster, entries=2).store
    assert await store.look("k", "mine") == Lead()
    assert await store.look("k", "yours") == Wait("mine")
    assert await store.renew("k", "mine")
    assert not await store.renew("k", "yours")
    assert not await store.settle("k", "yours", "{}")
    assert await store.settle("k", "mine", '{"text": "no"}')
    assert await store.look("k", "next") == Lead()
    assert await store.look("k", "yours", "mine") == Told('{"text": "no"}'), "although another has begun meanwhile"
    await store.keep("k", "answer", "next")
    assert await store.look("k", "yours", "next") == Hit("answer")
    assert not await store.settle("k", "next"), "keeping gave the lease back"
    await store.keep("l", "answer", "not the holder")
    await store.keep("m", "answer")
    assert await store.look("k", "yours") == Lead(), "two are kept"


async def test_a_lost_script_is_sent_again(process: Process, emptied: Any) -> None:
    await process.ask()
    emptied.command("SCRIPT", "FLUSH")
    assert await process.ask() == "Paris."
    assert process.counted() == {"miss": 1, "hit": 1}


async def test_redis_holds_the_answer_and_no_word_of_the_question(process: Process, emptied: Any) -> None:
    await process.ask("canary question", "canary context", tenant="canary-tenant", instructions="canary instructions")
    for key in emptied.command("KEYS", "*"):
        assert "canary" not in key
        assert key.startswith("{assistant}:")
    (answer,) = emptied.command("KEYS", f"{PREFIX}:answer:*")
    assert emptied.command("GET", answer) == "Paris."


def test_a_failure_that_a_newer_version_knows_is_told_as_one_that_may_pass() -> None:
    with pytest.raises(InferenceFailed, match="why"):
        text_of('{"failure": "InferenceMelted", "reason": "why", "retry_after": null}')


async def test_the_settings_switch_it_off(emptied: Any, model_server: Any) -> None:
    redis = connected(emptied, False, 5)
    async with httpx2.AsyncClient() as http:
        client = AnswerClient(http, model_server.url, SecretStr("k"), PATIENT_SECONDS)
        parts = {"redis": redis, "inference": http, "inference_url": model_server.url, "wait_seconds": PATIENT_SECONDS}
        async with answering(AnswerSettings(answer_cache_seconds=0), client, registry=CollectorRegistry(), **parts) as answerer:
            assert answerer is client
        async with answering(AnswerSettings(), client, registry=CollectorRegistry(), **parts) as answerer:
            assert [await answerer.answer(QUESTION), await answerer.answer(QUESTION)] == ["Paris."] * 2
    assert len(model_server.prompts) == 1
    await redis.close()


CALLER = """
import asyncio, json, sys
import httpx2
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from app.pipeline.answer import AnswerClient
from app.pipeline.answer_cache import CachedAnswers
from app.pipeline.answer_metrics import AnswerCacheMetrics
from app.pipeline.answer_store import AnswerStore
from app.pipeline.model_identity import ModelIdentity
from app.pipeline.redis_breaker import Breaker
from app.pipeline.redis_client import connect
from app.settings import RedisSettings

async def main(redis, url, question, count, lease_seconds):
    client, registry = connect(RedisSettings(**redis)), CollectorRegistry()
    async with httpx2.AsyncClient() as http:
        identity = ModelIdentity(http, url, wait_seconds=60)
        store = AnswerStore(Breaker(client), live_seconds=3600, entries=100)
        model, metrics = AnswerClient(http, url, SecretStr("k"), 60), AnswerCacheMetrics(registry)
        answers = CachedAnswers(model, store, identity, metrics, wait_seconds=60, lease_seconds=lease_seconds)
        asking = [asyncio.create_task(answers.answer(question)) for _ in range(count)]
        print("asking", flush=True)
        found = await asyncio.gather(*asking)
        metric = next(metric for metric in registry.collect() if metric.name == "assistant_answer_cache")
        totals = [sample for sample in metric.samples if sample.name.endswith("_total")]
        counted = {sample.labels["source"]: int(sample.value) for sample in totals}
        print(json.dumps({"answers": found, "counted": counted}))
        await identity.aclose()
    await client.close()

asyncio.run(main(**json.loads(sys.stdin.read())))
"""


async def spawn(
    server: Any, model_server: Any, *, cluster: bool = False, count: int = 1, lease_seconds: float = 30
) -> asyncio.subprocess.Process:
    """Another process that asks the question ``count`` times at once, and prints that it does and what it was told."""
    pipe = subprocess.PIPE
    environment = {"PATH": os.environ["PATH"]}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CALLER, stdin=pipe, stdout=pipe, env=environment)
    redis = {"redis_url": server.url, "redis_password": server.password, "redis_timeout_seconds": 10, "redis_cluster": cluster}
    arguments = {"redis": redis, "url": model_server.url, "question": QUESTION, "count": count, "lease_seconds": lease_seconds}
    process.stdin.write(json.dumps(arguments).encode())
    process.stdin.close()
    return process


async def waits(process: Process) -> None:
    """Returns once ``process`` has been told to wait for another's answer."""
    heard = asyncio.Event()
    look = process.store.look

    async def looking(*arguments: Any) -> Any:
        found = await look(*arguments)
        if isinstance(found, Wait):
            heard.set()
        return found

    process.store.look = looking
    await asyncio.wait_for(heard.wait(), PATIENT_SECONDS)
    process.store.look = look


def age(server: Any, milliseconds: int) -> None:
    """Let what is kept have been used so much earlier."""
    for key in server.command("ZRANGE", f"{PREFIX}:used", 0, -1):
        server.command("ZINCRBY", f"{PREFIX}:used", -milliseconds, key)


async def expired(server: Any, key: str) -> None:
    async with asyncio.timeout(PATIENT_SECONDS):
        while server.command("EXISTS", key):  # noqa: ASYNC110 (another process's state)
            await asyncio.sleep(0.01)
