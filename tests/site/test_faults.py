"""A Redis that is killed, paused, cut off, full, read-only or locked: the node goes on and says so.

Each test sees the state, that verdicts come within their time, and that all mends by itself.
"""

import asyncio
import re
import time
from pathlib import Path

import pytest

from edge.cache.site.circuit import RETRY_MAX_S, Circuit, SiteFault
from tests.site.nodes import DEADLINE_S, credential, showing
from tests.site.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
ANN, BOB, EVE = credential(1), credential(2), credential(3)
ONE, TWO, THREE = showing(1), showing(2), showing(3)
LATE_S = 5.0
"""What a busy machine may add to a time, in a test."""


async def spent_within(node, person, shown) -> tuple[str, float]:
    began = time.monotonic()
    found = await node.spend(person, shown)
    return found, time.monotonic() - began


async def test_a_killed_server_leaves_each_node_its_own_guard(site, redis_server, steps):
    here, there = site
    redis_server.kill()
    assert await here.spend(ANN, ONE) == "node"
    assert here.state == "unreachable"
    assert here.memory.scope == "node"
    assert await here.spend(ANN, TWO) == "spent"
    assert await there.spend(ANN, TWO) == "node"
    assert here.memory.counts.spends["node"] == 1
    redis_server.start()
    await here.until("began_anew")
    steps.pass_floor()
    assert await here.spend(BOB, ONE) == "site"


async def test_what_was_spent_alone_is_merged_before_site_is_said(site, relay, open_node):
    here, _ = site
    far = open_node(relay.url)
    await far.until("shared")
    await relay.cut()
    assert await far.spend(ANN, ONE) == "node"
    assert far.memory.alone == 1
    assert far.state == "unreachable"
    await relay.mend()
    await far.until("shared")
    assert far.memory.alone == 0
    assert await here.spend(ANN, TWO) == "spent"
    assert here.memory.counts.twice == 0


async def test_a_presentation_spent_at_two_nodes_while_apart_is_counted(site, relay, open_node):
    here, _ = site
    far = open_node(relay.url)
    await far.until("shared")
    await relay.cut()
    assert await far.spend(ANN, ONE) == "node"
    assert await here.spend(ANN, TWO) == "site"
    await relay.mend()
    await far.until("shared")
    assert far.memory.counts.twice == 1
    assert far.site.shown()["spent_twice"] == 1


async def test_what_is_too_old_to_be_shown_again_is_not_merged(site, relay, open_node, steps):
    far = open_node(relay.url)
    await far.until("shared")
    await relay.cut()
    assert await far.spend(ANN, ONE) == "node"
    steps.now += 20
    await relay.mend()
    merged = far.memory.counts.merged
    await far.until("shared")
    assert far.memory.alone == 0
    assert far.memory.counts.merged == merged


async def test_a_paused_server_costs_one_verdict_its_deadline(site, redis_server):
    here, there = site
    redis_server.pause()
    found, took_s = await spent_within(here, ANN, ONE)
    assert found == "node"
    assert DEADLINE_S * 0.9 < took_s < DEADLINE_S + LATE_S
    assert here.state == "slow"
    began = time.monotonic()
    for number in range(100):
        assert await here.spend(credential(1000 + number), ONE) == "node"
    assert time.monotonic() - began < DEADLINE_S * 10
    redis_server.resume()
    await here.until("shared")
    # It went on where it was: the memory is whole, and holds what was spent meanwhile.
    assert await there.spend(ANN, TWO) == "spent"
    assert await there.spend(credential(1005), TWO) == "spent"


async def test_a_wire_that_swallows_everything_is_noticed_at_the_deadline(relay, open_node, site):
    far = open_node(relay.url)
    await far.until("shared")
    relay.deaf = True
    found, took_s = await spent_within(far, ANN, ONE)
    assert found == "node"
    assert took_s < DEADLINE_S + LATE_S
    assert far.state == "slow"
    await relay.cut()
    await relay.mend()
    await far.until("shared")


async def test_a_server_slower_than_the_deadline_is_not_asked(relay, open_node, site):
    far = open_node(relay.url)
    await far.until("shared")
    relay.lag_s = DEADLINE_S * 1.5
    assert await far.spend(ANN, ONE) == "node"
    assert f"{DEADLINE_S * 1e3:.0f} ms" in far.site.shown()["why"]
    await asyncio.sleep(1.5)
    assert far.state == "slow"
    relay.lag_s = 0.0
    await far.until("shared")
    assert await far.spend(BOB, ONE) == "site"


async def test_a_full_server_is_said_to_be_full(site, redis_server, steps):
    here, there = site
    client = redis_server.client()
    client.config_set("maxmemory", "1")
    assert await here.spend(ANN, ONE) == "node"
    assert here.state == "out_of_memory"
    assert "maxmemory" in here.site.shown()["why"]
    client.config_set("maxmemory", "0")
    await here.until("shared")
    assert await there.spend(ANN, TWO) == "spent"


async def test_a_server_full_from_the_beginning(redis_installed, open_node):
    server = RedisServer("maxmemory 1mb", "maxmemory-policy noeviction")
    try:
        node = open_node(server.url)
        await node.until("out_of_memory")
        assert await node.spend(ANN, ONE) == "node"
        server.client().config_set("maxmemory", "100mb")
        await node.until("began_anew")
    finally:
        server.remove()


async def test_a_read_only_replica_is_said_to_be_one(site, redis_server, open_node):
    replica = RedisServer(f"replicaof 127.0.0.1 {redis_server.port}")
    try:
        node = open_node(replica.url)
        await node.until("read_only")
        assert await node.spend(ANN, ONE) == "node"
        replica.client().replicaof("NO", "ONE")
        await node.until("began_anew")
    finally:
        replica.remove()


async def test_a_password_that_is_wrong_is_said_and_never_shown(redis_installed, open_node, caplog):
    server = RedisServer("requirepass right-horse")
    try:
        wrong = open_node(server.url, password="wrong-horse")
        none = open_node(server.url)
        right = open_node(server.url, password="right-horse")
        await wrong.until("denied")
        await none.until("denied")
        await right.until("began_anew")
        shown = str(wrong.site.shown()) + repr(wrong.options) + caplog.text + str(
            [vars(record) for record in caplog.records])
        assert "horse" not in shown
    finally:
        server.remove()


async def test_an_account_with_no_more_than_is_needed(redis_installed, open_node, steps):
    rights = re.search(r"An account needs `(.*?)`", (ROOT / "docs" / "redis.md").read_text())
    server = RedisServer(f"user node on >horse {rights[1]}")
    try:
        here, there = (open_node(server.url, username="node", password="horse") for _ in range(2))
        for node in (here, there):
            await node.until("began_anew", "shared")
        steps.pass_floor()
        assert await here.spend(ANN, ONE) == "site"
        here.site.answers.keep(ANN, b"answer")
        here.cursor = 3
        async with asyncio.timeout(5):
            while await there.site.answers.find(ANN) is None or not there.woken:
                here.site.wakes.tell()
                await asyncio.sleep(0.1)
    finally:
        server.remove()


async def test_a_node_that_starts_without_redis_joins_later(redis_server, open_node, steps):
    redis_server.kill()
    node = open_node(redis_server.url)
    assert await node.spend(ANN, ONE) == "node"
    await node.until("unreachable")
    redis_server.start()
    await node.until("began_anew")
    steps.pass_floor()
    assert await node.spend(ANN, TWO) == "site"


async def test_a_server_that_only_writes_errors_is_refused(site, redis_server):
    here, _ = site
    redis_server.client().execute_command("CONFIG", "SET", "min-replicas-to-write", "1")
    assert await here.spend(ANN, ONE) == "node"
    assert here.state == "refused"
    assert "NOREPLICAS" in here.site.shown()["why"]
    redis_server.client().execute_command("CONFIG", "SET", "min-replicas-to-write", "0")
    await here.until("shared")


async def test_many_at_once_wait_no_longer_than_one(site, redis_server):
    here, _ = site
    redis_server.pause()
    began = time.monotonic()
    found = await asyncio.gather(*(here.spend(credential(n), ONE) for n in range(500)))
    assert set(found) == {"node"}
    assert time.monotonic() - began < DEADLINE_S + LATE_S
    assert here.memory.alone == 500
    redis_server.resume()
    await here.until("shared")
    assert here.memory.alone == 0


def test_pauses_double_until_a_closing_lasts():
    circuit, pauses, now = Circuit(), [], 100.0
    for _ in range(12):
        circuit.open(SiteFault("slow", "slow"), now)
        pauses.append(circuit.pause_s)
        circuit.close(now, 0)
        now += 1.0
    assert pauses[:3] == [0.2, 0.4, 0.8]
    assert pauses[-1] == RETRY_MAX_S
    now += 60.0
    circuit.open(SiteFault("slow", "slow"), now)
    assert circuit.pause_s == 0.2


@pytest.mark.parametrize("answer", [
    b"$-1\r\n", b":7\r\n", b"+OK\r\n", b"*0\r\n", b"*1\r\n$1\r\na\r\n", b":seven\r\n", b"$x\r\n",
    b"*3\r\n:1\r\n:2\r\n:3\r\n", b"*x\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\xfe\r\n",
    b"*3\r\n$-1\r\n$-1\r\n$-1\r\n", b"%1\r\n+a\r\n:1\r\n", b"_\r\n", b"-\xff\xfe\r\n",
])
async def test_answers_that_are_none_of_redis_leave_the_node_its_own_guard(
    relay, open_node, site, answer
):
    node = open_node(relay.url)
    await node.until("shared")
    relay.instead = answer
    assert await node.site.answers.find(ANN) is None
    node.memory.circuit.close(0.0, 0)
    assert await node.spend(ANN, ONE) == "node"
    assert not node.memory.circuit.closed
    await relay.mend()
    await node.until("shared")
    assert await node.spend(BOB, ONE) == "site"
