"""Durable acknowledgements of Slack's events, beside slack-bolt's asynchronous adapter that only acknowledges.

``python tests/bench/bench_gateway.py`` (part of ``make bench``) takes about three minutes. One process each, plain HTTP on
loopback, the same presigned distinct events from wrk; ours answers once Redis has the event on disk (``appendfsync always``),
the peer stores nothing. Rounds alternate; medians. The import of the gateway is measured too.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "bench")]

from gateway.wrk import Load, load  # noqa: E402
from record import record  # noqa: E402

from infra.redis_configuration import access_text, configuration_text  # noqa: E402
from tools.redis import find_redis_server  # noqa: E402

CONNECTIONS = (1, 16, 64)
ROUNDS, SECONDS = 3, 5
EVENTS_A_SECOND = 9_000  # more than either answers, so that no event is sent twice in a run
GOAL_P99, GOAL_IMPORT_SECONDS, GOAL_IMPORT_MB = 100.0, 1.0, 120.0
OURS, PEER = "ours", "bolt"
START_SECONDS = 30.0


@dataclass(frozen=True)
class Target:
    name: str
    url: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--no-record", action="store_true", help="print the figures, leave docs/performance.md alone")
    options = parser.parse_args()
    seconds, megabytes = import_cost()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fsync = fsync_milliseconds(folder)
        results = measure(folder, options.rounds, options.seconds)
    body = table(results, fsync, seconds, megabytes)
    if options.no_record:
        print(body)
    else:
        record("Webhook gateway", "python tests/bench/bench_gateway.py", body)


def measure(folder: Path, rounds: int, seconds: int) -> Mapping[tuple[str, int], list[Load]]:
    signing_secret = secrets.token_hex(16)
    found: dict[tuple[str, int], list[Load]] = {}
    with redis_server(folder) as (redis_url, password), targets(folder, signing_secret, redis_url, password) as both:
        for number in range(rounds):
            for connections in CONNECTIONS:
                order = both if number % 2 == 0 else both[::-1]
                for target in order:
                    events = folder / "events.txt"
                    write_events(events, signing_secret, seconds * EVENTS_A_SECOND)
                    got = load(target.url, connections=connections, seconds=seconds, events=events)
                    if got.refused or got.broken:
                        raise SystemExit(f"{target.name}: {got.refused} refused, {got.broken} broken of {got.requests}")
                    found.setdefault((target.name, connections), []).append(got)
                    print(f"{target.name:5} {connections:3} connections: {got.rate:7.0f}/s p99 {got.p99:6.1f} ms", flush=True)
    return found


def write_events(path: Path, signing_secret: str, count: int) -> None:
    """``count`` distinct messages to the bot, one a line: time stamp, signature, body."""
    now, run = str(int(time.time())), secrets.token_hex(4)
    key = signing_secret.encode()
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            stamp = f"{int(run, 16) % 10**9 + 10**9}.{number:06d}"
            body = json.dumps(
                {
                    "token": "unused",
                    "team_id": "T0BENCH",
                    "api_app_id": "A0BENCH",
                    "type": "event_callback",
                    "event_id": f"Ev{run}{number}".upper(),
                    "event_time": int(now),
                    "authorizations": [{"team_id": "T0BENCH", "user_id": "UBOT", "is_bot": True}],
                    "event": {
                        "type": "message",
                        "channel_type": "im",
                        "user": "U0ALICE",
                        "text": "What is the capital of France?",
                        "channel": f"D{number % 997:06d}",
                        "ts": stamp,
                        "event_ts": stamp,
                    },
                },
                separators=(",", ":"),
            )
            signature = hmac.new(key, f"v0:{now}:{body}".encode(), hashlib.sha256).hexdigest()
            file.write(f"{now} v0={signature} {body}\n")


@contextmanager
def redis_server(folder: Path) -> Iterator[tuple[str, str]]:
    """As the local target runs it: every acknowledged write on the disk."""
    port, password = free_port(), secrets.token_urlsafe(24)
    (folder / "users.acl").write_text(access_text(hashlib.sha256(password.encode()).hexdigest()))
    (folder / "redis.conf").write_text(configuration_text(port=port, directory=folder))
    process = subprocess.Popen([str(find_redis_server()), str(folder / "redis.conf")], stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield f"redis://127.0.0.1:{port}/0", password
    finally:
        end(process)


@contextmanager
def targets(folder: Path, signing_secret: str, redis_url: str, password: str) -> Iterator[list[Target]]:
    base = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "SLACK_SIGNING_SECRET": signing_secret, "PYTHONPATH": str(CHECKOUT)}
    ours_port, peer_port = free_port(), free_port()
    ours = {
        **base,
        "PORT": str(ours_port),
        "API_KEY": secrets.token_urlsafe(32),
        "INFERENCE_API_KEY": secrets.token_urlsafe(32),
        "INFERENCE_URL": "http://127.0.0.1:9",
        "REDIS_URL": redis_url,
        "REDIS_PASSWORD": password,
        "QUEUE_LIMIT": "10000000",
        "AUDIT_DIRECTORY": str(folder / "audit"),
    }
    # Its log is written and goes nowhere: on Redis' own disk, where no log belongs, it would wait for Redis' flushes.
    nowhere = subprocess.DEVNULL
    processes = [
        subprocess.Popen([sys.executable, "-m", "app.gateway"], env=ours, cwd=CHECKOUT, stdout=nowhere, stderr=nowhere),
        subprocess.Popen(
            [sys.executable, str(CHECKOUT / "tests/bench/gateway/bolt_peer.py")],
            env={**base, "PORT": str(peer_port)},
            cwd=CHECKOUT,
        ),
    ]
    try:
        for port in (ours_port, peer_port):
            await_port(port)
        yield [
            Target(OURS, f"http://127.0.0.1:{ours_port}/events/slack"),
            Target(PEER, f"http://127.0.0.1:{peer_port}/events/slack"),
        ]
    finally:
        for process in processes:
            end(process)


def await_port(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
        except OSError as error:
            if getattr(error, "code", None) is not None:  # an answer, whatever it says
                return
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nothing listens on port {port}")


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fsync_milliseconds(folder: Path, count: int = 300) -> float:
    """The median of an append of 512 bytes and its fsync, on the disk where Redis writes."""
    times = []
    with (folder / "fsync").open("ab", buffering=0) as file:
        for _ in range(count):
            started = time.perf_counter()
            file.write(b"x" * 512)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def import_cost(rounds: int = 5) -> tuple[float, float]:
    """Seconds and megabytes of ``import app.gateway.__main__`` in a fresh process, medians."""
    code = (
        "import resource, time; started = time.perf_counter(); import app.gateway.__main__; "
        "print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(rounds)
    ]
    return statistics.median(float(run[0]) for run in runs), statistics.median(float(run[1]) for run in runs)


def table(results: Mapping[tuple[str, int], list[Load]], fsync: float, seconds: float, megabytes: float) -> str:
    lines = [
        "| connections | ours, stored on disk: acknowledged/s | p99, ms "
        "| slack-bolt, stores nothing: acknowledged/s | p99, ms | ours / bolt |",
        "|---|---|---|---|---|---|",
    ]
    median = {key: (rate_of(loads), statistics.median(one.p99 for one in loads)) for key, loads in results.items()}
    for connections in CONNECTIONS:
        (ours, ours_p99), (peer, peer_p99) = median[OURS, connections], median[PEER, connections]
        lines.append(f"| {connections} | {ours:.0f} | {ours_p99:.1f} | {peer:.0f} | {peer_p99:.1f} | {ours / peer:.2f} |")
    more = 1000 / median[OURS, 1][0] - 1000 / median[PEER, 1][0]
    verdicts = [
        *(
            verdict(
                f"at {connections} connections at least as many a second as the peer",
                median[OURS, connections][0] >= median[PEER, connections][0],
            )
            for connections in CONNECTIONS[1:]
        ),
        verdict(f"p99 at 64 under {GOAL_P99:.0f} ms", median[OURS, 64][1] < GOAL_P99),
        verdict(f"at 1 connection no more than an fsync ({fsync:.2f} ms) over the peer: {more:+.2f} ms", more <= fsync),
        verdict(f"import under {GOAL_IMPORT_SECONDS:.0f} s: {seconds:.2f} s", seconds < GOAL_IMPORT_SECONDS),
        verdict(f"import under {GOAL_IMPORT_MB:.0f} MB: {megabytes:.0f} MB", megabytes < GOAL_IMPORT_MB),
    ]
    note = (
        "One process each, plain HTTP, distinct presigned events, wrk with one thread on the same two cores; ours writes a "
        "line of its log for each, to nowhere. Goals: "
    )
    return "\n".join([*lines, "", note + "; ".join(verdicts) + "."])


def rate_of(loads: list[Load]) -> float:
    return statistics.median(one.rate for one in loads)


def verdict(goal: str, met: bool) -> str:
    return f"{goal} ({'met' if met else 'missed'})"


if __name__ == "__main__":
    main()
