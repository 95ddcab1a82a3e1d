"""Wake-ups: the site's nodes hear of a change at once, and nobody else can make them ask."""

import asyncio
import time

import pytest

from edge.cache.site import link
from edge.cache.site.circuit import SiteFault
from edge.cache.site.link import SILENT_S
from edge.cache.site.names import SiteKey
from edge.cache.site.place import LinkOptions
from edge.cache.site.wakes import AGAIN_S, EVERY_S
from tests.site.nodes import OTHER_SECRET, SECRET

HEARD_S_MAX = 15.0
"""On a busy machine; a subscription that failed begins again after a second."""


async def listening(server, nodes: int) -> None:
    async with asyncio.timeout(HEARD_S_MAX):
        while dict(server.client().pubsub_numsub("kanhe:wake"))[b"kanhe:wake"] != nodes:
            await asyncio.sleep(0.02)


def signs_of(*servers) -> int:
    """Count the signs of life that subscriptions were asked for."""
    return sum(server.client().info("commandstats")["cmdstat_ping"]["calls"] for server in servers)


async def heard(node, count: int) -> None:
    async with asyncio.timeout(HEARD_S_MAX):
        while node.woken < count:
            await asyncio.sleep(0.01)


async def test_a_change_heard_at_one_node_wakes_the_other(site, redis_server):
    here, there = site
    await listening(redis_server, 2)
    here.cursor = 7
    here.site.wakes.tell()
    await heard(there, 1)
    assert here.woken == 0
    assert there.site.shown()["wakes_heard"] == 1


async def test_what_is_known_already_wakes_nobody(site, redis_server):
    here, there = site
    await listening(redis_server, 2)
    here.cursor, there.cursor = 7, 7
    here.site.wakes.tell()
    await asyncio.sleep(0.3)
    here.cursor = 9
    assert there.woken == 0
    here.site.wakes.tell()
    await heard(there, 1)


async def test_a_wake_up_that_isnt_the_sites_is_not_heard(site, redis_server):
    _, there = site
    await listening(redis_server, 2)
    client = redis_server.client()
    honest = SiteKey(SECRET, "kanhe").write_hint(bytes(16), 9)
    for message in (b"", b"9", SiteKey(OTHER_SECRET, "kanhe").write_hint(bytes(16), 9),
                    SiteKey(SECRET, "annex").write_hint(bytes(16), 9),
                    honest[:-1] + bytes([honest[-1] ^ 1])):
        client.publish("kanhe:wake", message)
    async with asyncio.timeout(HEARD_S_MAX):
        while there.memory.counts.faults.get("foreign", 0) < 5:
            await asyncio.sleep(0.01)
    assert there.woken == 0
    assert there.memory.counts.faults["foreign"] == 5
    client.publish("kanhe:wake", honest)
    await heard(there, 1)


async def test_a_storm_of_wake_ups_wakes_a_few_times(site, redis_server):
    _, there = site
    await listening(redis_server, 2)
    client = redis_server.client()
    key = SiteKey(SECRET, "kanhe")
    began = time.monotonic()
    for number in range(200):
        client.publish("kanhe:wake", key.write_hint(bytes(16), 9 + number))
    await heard(there, 1)
    await asyncio.sleep(0.5)
    assert there.woken <= (time.monotonic() - began) / EVERY_S + 2


async def test_it_hears_again_after_a_cut(redis_server, relay, open_node, site):
    far = open_node(relay.url)
    await far.until("shared")
    await listening(redis_server, 3)
    await relay.cut()
    await listening(redis_server, 2)
    await relay.mend()
    await far.until("shared")
    await listening(redis_server, 3)
    here, _ = site
    here.cursor = 3
    here.site.wakes.tell()
    await heard(far, 1)


async def test_a_subscription_that_died_without_a_word_is_noticed(
    redis_server, relay, open_node, site, monkeypatch
):
    silent_s = 1.0
    monkeypatch.setattr(link, "SILENT_S", silent_s)
    far = open_node(relay.url)
    await far.until("shared")
    await listening(redis_server, 3)
    assert relay.lose_subscriptions() == 1
    here, _ = site
    # Its first look, the sign that never comes, the pause: then it listens anew.
    async with asyncio.timeout(2 * silent_s + AGAIN_S + HEARD_S_MAX):
        while not far.woken:
            here.cursor += 1
            here.site.wakes.tell()
            await asyncio.sleep(0.05)
    # Nothing else was the matter, so nothing else can have noticed it.
    assert far.memory.counts.faults == {}
    assert SILENT_S <= 10.0


async def test_a_subscription_that_is_merely_silent_lives_on(
    redis_server, open_node, site, monkeypatch
):
    monkeypatch.setattr(link, "SILENT_S", 1.0)
    node = open_node(redis_server.url)
    await node.until("shared")
    await listening(redis_server, 3)
    before = {client["id"] for client in redis_server.client().client_list()
              if client["sub"] == "1"}
    # The node's and, once their first silence of five seconds is over, those of the other two.
    asked, signs = signs_of(redis_server), 2
    async with asyncio.timeout((signs + 1) * 1.0 + HEARD_S_MAX):
        while signs_of(redis_server) < asked + signs:
            await asyncio.sleep(0.05)
    after = {client["id"] for client in redis_server.client().client_list()
             if client["sub"] == "1"}
    assert len(before) == 3
    assert after == before
    here, _ = site
    here.cursor = 3
    here.site.wakes.tell()
    await heard(node, 1)


async def test_a_subscription_over_a_wire_that_swallows_ends_within_its_time(
    redis_server, relay, monkeypatch
):
    silent_s = 1.0
    monkeypatch.setattr(link, "SILENT_S", silent_s)
    way = link.RedisLink(LinkOptions(url=relay.url))

    async def hear() -> None:
        async for _ in way.listen("kanhe:wake"):
            raise AssertionError("nobody said anything")

    for deaf_at_once in (True, False):
        relay.deaf = deaf_at_once
        hearing = asyncio.create_task(hear())
        if not deaf_at_once:
            await listening(redis_server, 1)
            relay.deaf = True
        async with asyncio.timeout(3 * silent_s + HEARD_S_MAX):
            with pytest.raises(SiteFault, match="no sign of life") as found:
                await hearing
        assert found.value.state == "slow"
    await way.close()
