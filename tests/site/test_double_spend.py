"""Many thousand attempts to spend twice, at two nodes, while Redis comes and goes.

- Of two accepts of one presentation at most one may have said `site`: the other said `node`, which
  is what it could know.
- While Redis is there and its memory whole, none is accepted twice at all.
"""

import asyncio
import contextlib
import random
from collections import Counter, defaultdict

import pytest

from edge.cache.site import memory
from tests.site.nodes import HASTY_S, credential, showing

PEOPLE = 40
ATTEMPTS = 20_000
DISTURBED = 12
MENDED_TRIES = 5


class Attempts:
    """Presentations shown at random to both nodes, some several times, and what became of them."""

    def __init__(self, nodes, steps, seed: int) -> None:
        self.nodes, self.steps, self.random = nodes, steps, random.Random(seed)
        self.accepts = defaultdict(list)
        self.said: Counter[str] = Counter()
        self.number = 0

    async def some(self, count: int) -> None:
        """Show `count` presentations, eight at once."""
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(self._show(count // 8))

    async def _show(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            shown = showing(self.number)
            person = credential(self.random.randrange(PEOPLE))
            step = self.steps.now - self.random.randrange(2)
            node = self.random.choice(self.nodes)
            if self.random.random() < 0.05:
                self.steps.now += 1
            await asyncio.sleep(0)
            found = await node.spend(person, shown, step)
            self.said[found] += 1
            if found != "spent":
                self.accepts[person, step].append(found)

    def twice(self) -> list[list[str]]:
        return [found for found in self.accepts.values() if len(found) > 1]


async def disturb(way: str, ways: random.Random, server, node) -> None:
    """Do something to Redis, or restart a node's part in it, while verdicts go on."""
    if way == "node":
        await node.site.stop()
        node.open()
        return
    if way == "flush":
        await asyncio.to_thread(server.client().flushall)
        return
    await asyncio.to_thread(server.pause if way == "pause" else server.kill)
    if way != "restart":
        await asyncio.sleep(ways.uniform(0.1, 0.5))
    await asyncio.to_thread(server.resume if way == "pause" else server.start)


async def test_with_redis_there_nothing_is_accepted_twice(
    redis_server, open_node, steps, monkeypatch
):
    # Patient nodes: a busy machine must not be taken for a slow Redis.
    monkeypatch.setattr(memory, "KEEPER_S", 10.0)
    patient = [open_node(redis_server.url, deadline_s=5.0) for _ in range(2)]
    for node in patient:
        await node.until("shared", "began_anew")
    steps.pass_floor()
    attempts = Attempts(patient, steps, 1)
    await attempts.some(ATTEMPTS)
    assert attempts.said["node"] == 0
    assert attempts.said["site"] > 500
    assert attempts.twice() == []


@pytest.mark.parametrize("site", [HASTY_S], indirect=True)
async def test_with_redis_flapping_no_two_accepts_say_site(site, steps, redis_server):
    attempts = Attempts(site, steps, 2)
    ways, disturbed = random.Random(3), 0

    async def disturb_on() -> None:
        nonlocal disturbed
        while True:
            await asyncio.sleep(ways.uniform(0.2, 0.8))
            await disturb(ways.choice(["restart", "kill", "pause", "flush", "node"]), ways,
                          redis_server, ways.choice(site))
            disturbed += 1

    disturbing = asyncio.create_task(disturb_on())
    while disturbed < DISTURBED or attempts.number < ATTEMPTS:
        await attempts.some(800)
    disturbing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await disturbing
    redis_server.ensure()
    while attempts.said["site"] < 500 or attempts.said["node"] < 500:
        steps.now += 1
        await attempts.some(800)
    for found in attempts.twice():
        assert found.count("site") <= 1, found
    # At each node each was accepted once, whatever Redis did.
    assert max(map(len, attempts.accepts.values())) <= 2
    for number, node in enumerate(site):
        await node.spend(credential(8_000 + number), showing(10**8))
        await node.until("shared", "began_anew")
    steps.pass_floor()
    # All mends: a busy machine may make such hasty nodes alone once more, but not for ever.
    for number in range(MENDED_TRIES):
        found = await asyncio.gather(*(
            node.spend(credential(9_999 + number), showing(10**9 + 2 * number + place))
            for place, node in enumerate(site)))
        if sorted(found) == ["site", "spent"]:
            break
        for node in site:
            await node.until("shared", "began_anew")
        steps.pass_floor()
    assert sorted(found) == ["site", "spent"]


async def test_one_node_cut_off_says_node_for_all_that_it_accepts(site, open_node, relay, steps):
    here, _ = site
    far = open_node(relay.url)
    await far.until("shared")
    attempts = Attempts([here, far], steps, 4)
    for turn in range(6):
        await attempts.some(800)
        await (relay.cut() if turn % 2 == 0 else relay.mend())
        if turn % 2 == 1:
            await far.until("shared")
    assert attempts.said["node"] > 0
    for found in attempts.twice():
        assert found.count("site") <= 1, found
