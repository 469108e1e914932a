"""Load while pods come and go: nothing lost, nothing refused, more workers while there is a backlog and fewer after it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from cluster_deployment import AUTOSCALING, ClusterDeployment
from generic.emulator import Emulator
from kubectl import wait_until

Send = Callable[..., httpx2.Response]

EVENTS, BACKLOG = 100, 500
SLOW_SECONDS = 0.5  # of the platform, so that a backlog stands long enough to be seen


def test_loses_no_event_while_pods_are_deleted(deployed: ClusterDeployment, send: Send, platform: Emulator) -> None:
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(send, "help", conversation=f"deletion-{number}") for number in range(EVENTS)]
        for part in ("worker", "gateway"):
            time.sleep(0.5)
            deployed.kubectl("delete", "pod", sorted(deployed.names(part))[0], "--wait=false")
        answers = [future.result() for future in sent]
    assert {answer.status_code for answer in answers} == {200}
    assert platform.wait_for(lambda it: len(it.messages) >= EVENTS, 90), len(platform.messages)
    assert {message["conversation"] for message in platform.messages} == {f"deletion-{number}" for number in range(EVENTS)}
    assert len(platform.messages) == EVENTS
    deployed.settled("worker", "gateway")


def test_survives_the_kill_of_redis(deployed: ClusterDeployment, send: Send, platform: Emulator) -> None:
    """What was accepted before is there after: acknowledged means on disk."""
    platform.fail("/messages", "status", times=10_000, status=503, retry_after="2")
    for number in range(5):
        assert send("help", conversation=f"kept-{number}").status_code == 200
    deployed.kubectl("delete", "pod", *deployed.names("redis"), "--grace-period=0", "--force")
    platform.heal()
    deployed.kubectl("rollout", "status", "statefulset/redis", "--timeout=60s")
    assert platform.wait_for(lambda it: len(it.messages) >= 5, 90), len(platform.messages)


@pytest.mark.parametrize("part", ["gateway", "inference"])
def test_refuses_no_request_during_a_rolling_update(
    deployed: ClusterDeployment, send: Send, platform: Emulator, outputs: dict[str, Any], part: str
) -> None:
    deployed.settled("gateway", "inference")
    client = _client(deployed)
    asked: Callable[[], int] = (
        (lambda: send("help", conversation=uuid.uuid4().hex).status_code)
        if part == "gateway"
        else (lambda: client("/api/v1/answer", {"question": "Say yes."}))
    )
    before = deployed.names(part)
    with _load(asked, threads=2) as codes:
        time.sleep(1)
        deployed.kubectl("rollout", "restart", f"deployment/{part}")
        deployed.settled(part)
        time.sleep(1)
    assert not before & deployed.names(part)
    assert len(codes) >= 10
    assert set(codes) == {200}, {code: codes.count(code) for code in set(codes)}


def test_a_backlog_brings_workers_and_its_end_takes_them_away(
    deployed: ClusterDeployment, send: Send, platform: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    if not deployed.has_keda:
        pytest.skip("KEDA is not in this cluster: workers follow their CPU, which a slow platform does not raise")
    deployed.settled("worker")
    wait_until(lambda: len(deployed.pods("worker")) == 1, 60)
    platform.fail("/messages", "slow", times=10_000, seconds=SLOW_SECONDS)
    start = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        codes = set(pool.map(lambda number: send("help", conversation=f"backlog-{number}").status_code, range(BACKLOG)))
    assert codes == {200}
    sent = time.monotonic() - start
    most = AUTOSCALING["worker"]["maximum"]  # type: ignore[index]
    wait_until(lambda: _ready(deployed) == most, 120)
    grown = time.monotonic() - start
    assert platform.wait_for(lambda it: len(it.messages) >= BACKLOG, 240), len(platform.messages)
    worked = time.monotonic() - start
    platform.heal()
    wait_until(lambda: len(deployed.pods("worker")) == 1, 120)
    shrunk = time.monotonic() - start
    assert len(platform.messages) == BACKLOG
    figures = {"sent": sent, f"1 -> {most} workers": grown, "all answered": worked, f"{most} -> 1 workers": shrunk}
    with capsys.disabled():  # times are shown, not judged
        print(f"\nbacklog of {BACKLOG}: " + ", ".join(f"{name} after {seconds:.0f} s" for name, seconds in figures.items()))


def _ready(deployed: ClusterDeployment) -> int:
    return int(deployed.get("deployment", "worker")["status"].get("readyReplicas", 0))


def _client(deployed: ClusterDeployment) -> Callable[[str, dict[str, str]], int]:
    from tools.stack.assistant import Assistant

    assistant = Assistant.from_outputs(deployed.outputs())

    def post(path: str, body: dict[str, str]) -> int:
        with assistant.client() as client:  # a connection each: what the Service does with a new one is what is tried
            return client.post(path, json=body).status_code

    return post


@contextmanager
def _load(call: Callable[[], int], *, threads: int) -> Iterator[list[int]]:
    """``call`` over and over while the block runs; its status codes, 0 for a connection that failed."""
    codes: list[int] = []
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            try:
                codes.append(call())
            except httpx2.HTTPError:
                codes.append(0)

    workers = [threading.Thread(target=repeat) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield codes
    finally:
        over.set()
        for worker in workers:
            worker.join()
