"""The cluster protocol against real servers: refused, hanging, moved, half moved, and by TLS with a user of its own."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.pipeline.queue import Delivery, QueueUnavailable
from app.pipeline.redis_client import CONNECTIONS, RedisClient, RedisUnavailable, Script, connect
from app.pipeline.redis_cluster import Address, Slots, parse_slots, slot_of
from app.pipeline.redis_queue import RedisQueue
from app.settings import GatewaySettings, RedisSettings, SettingsError, load
from tools.redis import MissingRedisError, find_redis_server

USER, KEY, SLOT = "assistant", "{assistant}:test", 8667
Connect = Callable[..., RedisClient]
TIMEOUT_SECONDS = RedisSettings().redis_timeout_seconds
ASKED = Address("asked.example.org", 6379)


@pytest.fixture
async def connected() -> AsyncIterator[Connect]:
    """``connected(server)``: a client of the cluster, closed at the end."""
    clients: list[RedisClient] = []

    def make(server: Any, **more: Any) -> RedisClient:
        defaults = {"redis_url": server.url, "redis_password": server.password, "redis_timeout_seconds": 5}
        clients.append(connect(RedisSettings(**(defaults | {"redis_cluster": True} | more))))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
def second(cluster_redis: Any, tmp_path: Path) -> Iterator[Any]:
    """Another node of the same cluster, without slots. Both know the user ``assistant``, whose password is the first one's."""
    folder = tmp_path / "second"
    folder.mkdir()
    rules = ["on", f">{cluster_redis.password}", "~*", "&*", "+@all"]
    options = ["cluster-enabled yes", "cluster-announce-ip 127.0.0.1", f"masterauth {cluster_redis.password}"]
    server = type(cluster_redis)(cluster_redis._binary, folder, *options, f"user {USER} {' '.join(rules)}")
    cluster_redis.command("ACL", "SETUSER", USER, *rules)
    server.command("CLUSTER", "MEET", "127.0.0.1", cluster_redis.port)
    for node in (server, cluster_redis):
        until(lambda node=node: "cluster_known_nodes:2" in info(node) and "cluster_state:ok" in info(node))
    yield server
    server.kill()


def info(server: Any) -> str:
    return str(server.command("CLUSTER", "INFO"))


def until(fact: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def replica(cluster_redis: Any, second: Any) -> Any:
    second.command("CLUSTER", "REPLICATE", cluster_redis.command("CLUSTER", "MYID"))
    until(lambda: "master_link_status:up" in replication(second))
    until(lambda: len(cluster_redis.command("CLUSTER", "SLOTS")[0]) == 4)  # the first knows it too
    return second


def replication(server: Any) -> str:
    """INFO is parsed by the client library; the words are what is looked for."""
    found = server.command("INFO", "replication")
    return "\n".join(f"{name}:{value}" for name, value in found.items()) if isinstance(found, dict) else str(found)


async def eventually(client: RedisClient, *words: str, seconds: float = 20) -> Any:
    """The answer, once there is one: only RedisUnavailable may come before it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await client.command(*words)
        except RedisUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_a_thousand_refused_connects_cost_no_connection(cluster_redis: Any, connected: Connect, make_event: Any) -> None:
    """What redis-py's own cluster client does not survive: after 32 refusals it answers "Too many connections" for good."""
    client = connected(cluster_redis)
    queue = RedisQueue(client)
    assert await queue.deliver(make_event("1")) == Delivery.ACCEPTED
    cluster_redis.kill()
    for _ in range(20):
        refused = await asyncio.gather(*(client.command("GET", KEY) for _ in range(50)), return_exceptions=True)
        assert {type(error) for error in refused} == {RedisUnavailable}
    with pytest.raises(QueueUnavailable, match="not reachable"):
        await queue.deliver(make_event("2"))
    cluster_redis.start()
    assert await eventually(client, "PING") is True
    await eventually(client, "GET", KEY)  # once the node has found its cluster whole again
    waits = (client.command("BLPOP", f"{{assistant}}:{n}", "0.5", extra_seconds=20) for n in range(CONNECTIONS))
    begin = time.monotonic()
    assert await asyncio.gather(*waits) == [None] * CONNECTIONS
    assert time.monotonic() - begin < 3  # all at once: one after the other would take 16 s
    assert await queue.deliver(make_event("1")) == Delivery.DUPLICATE


async def test_a_hanging_cluster_costs_a_caller_its_time_out_and_no_more(cluster_redis: Any, connected: Connect) -> None:
    """Also while the map of slots is learned anew, and by many at once; what comes after it is served at once."""
    client = connected(cluster_redis, redis_timeout_seconds=TIMEOUT_SECONDS)
    await eventually(client, "GET", KEY)
    cluster_redis.pause()
    for _ in range(3):
        begin = time.monotonic()
        found = await asyncio.gather(*(client.command("GET", KEY) for _ in range(64)), return_exceptions=True)
        assert {type(error) for error in found} == {RedisUnavailable}
        assert time.monotonic() - begin < 1
    cluster_redis.resume()
    assert await eventually(client, "GET", KEY, seconds=2) is None


async def test_a_primary_that_is_gone_without_a_word_is_left_for_its_successor(
    cluster_redis: Any, replica: Any, connected: Connect
) -> None:
    """It accepts connections and answers nothing, so that no error tells the client: only its own time-out does."""
    client = connected(cluster_redis, redis_username=USER, redis_timeout_seconds=TIMEOUT_SECONDS)
    assert await eventually(client, "SET", KEY, "kept") is True
    until(lambda: replica.command("DBSIZE") == 1)
    cluster_redis.pause()
    replica.command("CLUSTER", "FAILOVER", "TAKEOVER")
    begin = time.monotonic()
    assert await eventually(client, "GET", KEY) == "kept"
    assert time.monotonic() - begin < 3
    assert [await client.command("GET", KEY) for _ in range(50)] == ["kept"] * 50


async def test_a_primary_that_is_killed_is_left_for_its_successor(cluster_redis: Any, replica: Any, connected: Connect) -> None:
    client = connected(cluster_redis, redis_username=USER)
    assert await eventually(client, "SET", KEY, "kept") is True
    until(lambda: replica.command("DBSIZE") == 1)
    cluster_redis.kill()  # REDIS_URL leads nowhere now: the replica is known from the map of slots
    replica.command("CLUSTER", "FAILOVER", "TAKEOVER")
    assert await eventually(client, "GET", KEY) == "kept"


async def test_a_planned_failover_is_followed_within_the_call(cluster_redis: Any, replica: Any, connected: Connect) -> None:
    client = connected(cluster_redis, redis_username=USER)
    script = Script("return redis.call('INCR', KEYS[1])")
    assert await client.run(script, [KEY], []) == 1
    replica.command("CLUSTER", "FAILOVER")
    until(lambda: "role:master" in replication(replica) and "role:slave" in replication(cluster_redis))
    # To a node that answers MOVED, and to one that has never seen the script.
    assert await client.run(script, [KEY], []) == 2


async def test_a_key_whose_slot_is_on_its_way_is_asked_for_where_it_goes(
    cluster_redis: Any, second: Any, connected: Connect
) -> None:
    client = connected(cluster_redis, redis_username=USER)
    first_id, second_id = (node.command("CLUSTER", "MYID") for node in (cluster_redis, second))
    second.command("CLUSTER", "SETSLOT", SLOT, "IMPORTING", first_id)
    cluster_redis.command("CLUSTER", "SETSLOT", SLOT, "MIGRATING", second_id)
    assert await client.command("SET", KEY, "there") is True
    assert second.command("CLUSTER", "COUNTKEYSINSLOT", SLOT) == 1
    assert await client.command("GET", KEY) == "there"
    with pytest.raises(RedisUnavailable, match="TRYAGAIN"):  # one key here, one there
        await client.run(Script("return 1"), [KEY, KEY + "other"], [])
    for node in (second, cluster_redis):
        node.command("CLUSTER", "SETSLOT", SLOT, "NODE", second_id)
    assert await client.command("GET", KEY) == "there"


async def test_a_redis_that_is_no_cluster_is_said_to_be_none(redis_server: Any, connected: Connect) -> None:
    with pytest.raises(RedisUnavailable, match="the Redis cluster is not reachable"):
        await connected(redis_server).command("PING")


async def test_a_wrong_password_is_no_reason_to_wait(cluster_redis: Any, connected: Connect) -> None:
    begin = time.monotonic()
    with pytest.raises(RedisUnavailable) as error:
        await connected(cluster_redis, redis_password="canary-password").command("PING")
    assert time.monotonic() - begin < 2
    assert "canary" not in str(error.value)


def test_a_cluster_has_one_database() -> None:
    keys = {"API_KEY": "k" * 32, "INFERENCE_API_KEY": "k" * 32, "REDIS_CLUSTER": "true"}
    for url in ("rediss://host:6379/0", "rediss://host:6379", "redis://host:6379/"):
        assert load(GatewaySettings, keys | {"REDIS_URL": url}).redis_cluster
    with pytest.raises(SettingsError, match="a cluster has database 0 alone"):
        load(GatewaySettings, keys | {"REDIS_URL": "rediss://host:6379/3"})


@pytest.mark.parametrize(
    ("words", "slot"),
    [
        (("PING",), None),
        (("INFO", "memory"), None),
        (("GET", "{assistant}:anything"), 8667),
        (("blpop", "{assistant}:wake", 1.0), 8667),
        (("EVALSHA", "f" * 40, 2, b"{assistant}:a", "{assistant}:b", "argument"), 8667),
        (("EVAL", "return 1", 0), None),
        (("EVAL", "return 1", "1", "foo"), 12182),  # the specification's own example
    ],
)
def test_the_slot_is_that_of_the_first_key(words: tuple[Any, ...], slot: int | None) -> None:
    assert slot_of(words) == slot


def test_the_map_of_slots_names_primaries_and_whom_else_to_ask() -> None:
    answer = [[0, 99, ["a", 1, "id", []], ["b", 2, "id"]], [100, 16383, [b"c", 3, "id"], ["a", 1, "id"]]]
    slots = parse_slots(answer, ASKED)
    assert [slots.primary(slot) for slot in (0, 99, 100, 16383)] == [("a", 1), ("a", 1), ("c", 3), ("c", 3)]
    assert slots.primary(None) == ("a", 1)
    assert slots.nodes == (("a", 1), ("b", 2), ("c", 3))
    assert Slots((), ()).primary(3) is None


@pytest.mark.parametrize("host", ["", None, "?"])
def test_a_node_without_a_name_is_where_the_answer_came_from(host: str | None) -> None:
    """Redis says so of itself before it knows its address, and of all with ``cluster-preferred-endpoint-type unknown``."""
    assert parse_slots([[0, 16383, [host, 7000, "id"]]], ASKED).primary(5) == ("asked.example.org", 7000)


def binary_with_tls() -> str:
    try:
        binary = str(find_redis_server())
    except MissingRedisError as error:
        pytest.skip(str(error))
    lines = "port 0\ntls-port 0\ncluster-preferred-endpoint-type hostname\ndir /nonexistent\n"
    done = subprocess.run([binary, "-"], input=lines, capture_output=True, text=True, timeout=20)
    if "'dir /nonexistent'" not in done.stdout + done.stderr:  # it read on to the last line
        pytest.skip(f"{binary} has no TLS or is older than Redis 7; Debian's redis-server 7.0 has both")
    return binary


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(*encoding))
    return files


@pytest.fixture
def secure(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """As MemoryDB is: cluster mode, TLS to nodes by their names, and an ACL user that may do what the application does."""
    binary = binary_with_tls()
    server_class = type(request.getfixturevalue("redis_server"))
    folder = tmp_path / "secure"
    folder.mkdir()
    public, private = certificate(folder, "localhost")
    password, port = secrets.token_hex(16), server_class._free_port()
    options = ["cluster-enabled yes", "cluster-announce-ip 127.0.0.1", "cluster-announce-hostname localhost"]
    options += ["cluster-preferred-endpoint-type hostname", f"tls-port {port}", "tls-cluster yes", "tls-auth-clients no"]
    options += [f"tls-cert-file {public}", f"tls-key-file {private}", f"tls-ca-cert-file {public}"]
    options += [f"user {USER} on >{password} ~{{assistant}}* &* +@all -@dangerous +info +cluster|slots"]
    server = server_class(binary, folder, *options)
    server.command("CLUSTER", "ADDSLOTS", *range(16384))
    until(lambda: "cluster_state:ok" in info(server))
    server.secure_url, server.user_password = f"rediss://localhost:{port}/0", password
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    yield server
    server.kill()


async def test_a_cluster_by_tls_serves_the_queue_to_its_user(secure: Any, connected: Connect, make_event: Any) -> None:
    settings = {"redis_url": secure.secure_url, "redis_username": USER, "redis_password": secure.user_password}
    client = connected(secure, **settings)
    queue = RedisQueue(client)
    assert await queue.deliver(make_event("1")) == Delivery.ACCEPTED
    lease = await queue.lease("w")
    assert lease is not None
    await queue.acknowledge(lease)
    assert (await queue.stats()).backlog == 0
    with pytest.raises(RedisUnavailable, match="NOPERM"):
        await client.command("GET", "{somebody-else}:key")
    secure.restart()
    assert await eventually(client, "PING") is True
    slow = [connected(secure, **(settings | {"redis_password": word})) for word in ("wrong", secure.password)]
    for refused in slow:
        with pytest.raises(RedisUnavailable):
            await refused.command("PING")


async def test_a_server_that_no_authority_vouches_for_is_not_spoken_to(
    secure: Any, connected: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = {"redis_username": USER, "redis_password": secure.user_password}
    by_address = secure.secure_url.replace("localhost", "127.0.0.1")  # not the certificate's name
    with pytest.raises(RedisUnavailable, match="not reachable"):
        await connected(secure, redis_url=by_address, **settings).command("PING")
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate(tmp_path / "other", "localhost")[0]))
    with pytest.raises(RedisUnavailable, match="not reachable"):
        await connected(secure, redis_url=secure.secure_url, **settings).command("PING")
