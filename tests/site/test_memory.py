"""What is spent at a site: once at all its nodes, by a memory that knows what it remembers."""

import asyncio
import time

from central.policy_rules import STEPS_MAX
from edge.cache.site.link import RedisLink
from edge.cache.site.memory import FAR_STEPS, KEPT_S, MARK_KEPT_S
from edge.cache.site.names import SHARDS, SiteKey
from edge.cache.site.place import LinkOptions
from edge.cache.site.scripts import SET_MARK
from edge.protocol.kh1 import step_at
from edge.protocol.steps import STEP_S
from tests.site.nodes import OTHER_SECRET, SECRET, credential, showing

ANN, BOB = credential(1), credential(2)
ONE, TWO = showing(1), showing(2)


async def test_a_presentation_is_spent_once_at_all_nodes(site):
    here, there = site
    assert await here.spend(ANN, ONE) == "site"
    assert await there.spend(ANN, TWO) == "spent"
    assert await there.spend(BOB, TWO) == "site"
    assert here.memory.scope == "site"


async def test_the_same_presentation_shown_at_both_at_once_is_accepted_once(site, steps):
    for number in range(200):
        found = await asyncio.gather(
            *(node.spend(credential(number), showing(10 * number + place))
              for place, node in enumerate(site)))
        assert sorted(found) == ["site", "spent"]


async def test_the_same_showing_at_another_node_is_not_a_second_one(site):
    here, there = site
    assert await here.spend(ANN, ONE) == "site"
    assert await there.spend(ANN, ONE) == "site"


async def test_every_step_up_to_the_spent_one_is_spent_at_the_site(site, steps):
    here, there = site
    assert await here.spend(ANN, ONE, steps.now) == "site"
    assert await there.spend(ANN, TWO, steps.now - 1) == "spent"
    assert await there.spend(ANN, TWO, steps.now + 1) == "site"


async def test_the_first_node_says_node_until_its_memory_is_whole(redis_server, open_node, steps):
    node = open_node(redis_server.url)
    await node.until("began_anew")
    assert await node.spend(ANN, ONE) == "node"
    assert node.memory.scope == "node"
    steps.pass_floor()
    assert await node.spend(ANN, TWO) == "site"
    assert node.state == "shared"


async def test_a_node_that_joins_a_whole_memory_says_site_at_once(site, open_node, redis_server):
    newcomer = open_node(redis_server.url)
    await newcomer.until("shared")
    assert await newcomer.spend(ANN, ONE) == "site"


async def test_a_memory_that_began_anew_claims_nothing_of_before(site, redis_server, steps):
    here, there = site
    assert await here.spend(ANN, ONE) == "site"
    redis_server.restart()
    # Whoever asks first, no step of before is said to be the site's.
    assert await there.spend(ANN, TWO) in ("node", "spent")
    for node in site:
        assert await node.spend(BOB, showing(id(node))) in ("node", "spent")
        await node.until("began_anew")
    steps.pass_floor()
    assert await here.spend(ANN, TWO) == "site"


async def test_nodes_bring_back_what_they_spent_to_a_memory_that_began_anew(site, redis_server):
    here, there = site
    assert await here.spend(ANN, ONE) == "site"
    redis_server.restart()
    for number, node in enumerate(site):
        await node.spend(credential(50 + number), ONE)
        await node.until("began_anew")
    assert await there.spend(ANN, TWO) == "spent"
    assert here.memory.counts.twice == there.memory.counts.twice == 0


async def test_a_flushed_memory_began_anew(site, redis_server, steps):
    here, there = site
    assert await here.spend(ANN, ONE) == "site"
    redis_server.client().flushall()
    assert await there.spend(ANN, TWO) == "node"
    await there.until("began_anew")


async def test_a_floor_far_ahead_is_set_anew(redis_server, open_node, steps):
    steps.now += 10_000
    wrong = open_node(redis_server.url)
    await wrong.until("began_anew")
    await wrong.site.stop()
    steps.now -= 10_000
    node = open_node(redis_server.url)
    await node.until("began_anew")
    steps.pass_floor()
    assert await node.spend(ANN, ONE) == "site"


async def test_a_clock_that_was_set_back_sets_no_floor_below_what_was_shown(
    redis_server, open_node, steps
):
    shown = step_at(time.time())
    for number, back in enumerate((2, FAR_STEPS - 4)):
        # Redis forgets, and the first to join it is a node whose clock is wrong for a while.
        redis_server.restart()
        steps.now = shown - back
        node = open_node(redis_server.url)
        await node.until("shared", "began_anew")
        steps.now = shown
        # Another node, away now, may have accepted it and said `site`.
        assert await node.spend(ANN, showing(number), shown) == "node"
        await node.site.stop()


async def test_a_node_far_behind_the_clock_of_redis_goes_on_alone_until_it_is_set_right(
    redis_server, open_node, steps
):
    now = step_at(time.time())
    steps.now = now - FAR_STEPS - 2
    node = open_node(redis_server.url)
    await node.until("clock_untrusted")
    assert "behind Redis'" in node.memory.circuit.why
    assert await node.spend(ANN, ONE) == "node"
    steps.now = now
    await node.until("began_anew", "shared")
    assert node.memory.alone == 0


async def test_a_restarted_node_brings_what_its_own_memory_holds(redis_server, open_node, site):
    here, there = site
    await here.site.stop()
    here.open()
    redis_server.client().flushall()
    # Spent before it has joined: only its own guard knows.
    assert here.guard.spend(ANN, here.steps.now, ONE, here.steps.now)
    await here.until("shared", "began_anew")
    await there.spend(BOB, TWO)
    await there.until("shared", "began_anew")
    assert await there.spend(ANN, TWO) == "spent"


async def test_of_what_a_node_brings_back_the_newest_step_counts(site, redis_server):
    here, there = site
    now = here.steps.now
    for step in (now - 1, now, now + 1):
        assert await here.spend(ANN, ONE, step) == "site"
    redis_server.client().flushall()
    for place, node in enumerate(site):
        await node.spend(BOB, showing(place))
        await node.until("shared", "began_anew")
    # Only `here` knows, by its own guard, and it has told the site all of it.
    assert await there.spend(ANN, TWO, now + 1) == "spent"


async def test_redis_holds_no_credential_gate_or_request(site, redis_server):
    here, _ = site
    person = bytes(range(60, 76))
    request = bytes(range(80, 96))
    assert await here.spend(person, request) == "site"
    client = redis_server.client()
    seen = [name + (client.get(name) or b"") for name in client.scan_iter()]
    assert any(b":spent:" in item for item in seen)
    for secret in (person, request, person.hex().encode(), request.hex().encode(), SECRET):
        assert not any(secret in item for item in seen)


async def test_what_redis_keeps_ends_by_itself(site, redis_server):
    here, _ = site
    assert await here.spend(ANN, ONE) == "site"
    client = redis_server.client()
    names = list(client.scan_iter())
    assert len(names) == SHARDS + 1
    for name in names:
        assert 0 < client.ttl(name) <= KEPT_S
    spent = next(name for name in names if b":spent:" in name)
    mark = SiteKey(SECRET, "kanhe").spent_names(SiteKey(SECRET, "kanhe").hide(ANN))[1]
    assert client.ttl(mark) < client.ttl(spent)


async def test_another_sites_value_is_refused_and_replaced(site, redis_server, steps):
    here, there = site
    key, other = SiteKey(SECRET, "kanhe"), SiteKey(OTHER_SECRET, "kanhe")
    name, _ = key.spent_names(key.hide(ANN))
    client = redis_server.client()
    client.set(name, other.write_spent(name, steps.now + 100, bytes(16)))
    assert await here.spend(ANN, ONE) == "node"
    assert here.memory.counts.faults["foreign"] == 1
    assert await there.spend(ANN, TWO) == "spent"
    assert here.state == "shared"


async def test_a_value_moved_from_another_credential_is_refused(site, redis_server, steps):
    here, there = site
    key = SiteKey(SECRET, "kanhe")
    assert await here.spend(BOB, ONE, steps.now + 1) == "site"
    client = redis_server.client()
    ann, bob = (key.spent_names(key.hide(person))[0] for person in (ANN, BOB))
    client.set(ann, client.get(bob))
    assert await there.spend(ANN, TWO) == "node"
    assert there.memory.counts.faults["foreign"] == 1


async def test_values_of_wrong_types_are_refused_and_replaced(site, redis_server):
    here, there = site
    key = SiteKey(SECRET, "kanhe")
    client = redis_server.client()
    for number, put in enumerate((
        lambda name: client.hset(name, "a", "b"), lambda name: client.rpush(name, "x"),
        lambda name: client.zadd(name, {"x": 1}), lambda name: client.set(name, "nonsense"),
    )):
        person = credential(100 + number)
        put(key.spent_names(key.hide(person))[0])
        assert await here.spend(person, ONE) == "node"
        assert await there.spend(person, TWO) == "spent"
    assert here.memory.counts.faults["foreign"] == 4
    assert here.state == "shared"


async def test_two_sites_under_one_prefix_are_told_apart(site, redis_server, open_node):
    stranger = open_node(redis_server.url, secret=OTHER_SECRET)
    await stranger.until("foreign")
    assert await stranger.spend(ANN, ONE) == "node"
    assert "redis.prefix" in stranger.site.shown()["why"]
    here, _ = site
    assert await here.spend(ANN, ONE) == "site"
    apart = open_node(redis_server.url, secret=OTHER_SECRET, prefix="annex")
    await apart.until("began_anew", "shared")


async def test_a_mark_of_a_wrong_type_keeps_the_node_alone_until_it_is_gone(
    redis_server, open_node, steps
):
    client = redis_server.client()
    client.hset("kanhe:{3}:mark", "a", "b")
    node = open_node(redis_server.url)
    await node.until("foreign")
    assert await node.spend(ANN, ONE) == "node"
    client.delete("kanhe:{3}:mark")
    await node.until("began_anew")
    steps.pass_floor()
    assert await node.spend(ANN, TWO) == "site"


async def test_a_server_that_may_forget_is_not_believed(redis_server, open_node):
    client = redis_server.client()
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    node = open_node(redis_server.url)
    await node.until("evicting")
    assert await node.spend(ANN, ONE) == "node"
    client.config_set("maxmemory-policy", "noeviction")
    await node.until("began_anew")


async def test_a_server_that_has_no_script_gets_it_again(site, redis_server):
    here, _ = site
    redis_server.client().script_flush()
    assert await here.spend(ANN, ONE) == "site"


async def test_a_foreign_value_does_not_let_a_presentation_through_at_both_nodes(
    site, redis_server
):
    key = SiteKey(SECRET, "kanhe")
    for number in range(100, 130):
        person = credential(number)
        redis_server.client().set(key.spent_names(key.hide(person))[0], b"9999999999 not ours")
        found = await asyncio.gather(*(
            node.spend(person, showing(10 * number + place)) for place, node in enumerate(site)))
        assert sorted(found) == ["node", "spent"]


async def test_a_servers_clock_that_leaps_ends_the_mark_before_what_it_vouches_for(
    site, redis_server
):
    """Whatever the leap: a step that may still be shown is known, or isn't claimed."""
    here, there = site
    client = redis_server.client()
    widest_s = STEP_S * (2 * STEPS_MAX + 1)
    for number, leap_s in enumerate((35, 330, 590, 1_300)):
        person = credential(200 + number)
        assert await here.spend(person, ONE) == "site"
        spent_name, mark_name = _names_of(person)
        # What was spent has aged as much as it can; the keepers looked a moment ago.
        client.expire(spent_name, max(1, client.ttl(spent_name) - widest_s))
        client.expire(mark_name, MARK_KEPT_S)
        for name in (spent_name, mark_name):
            left = client.ttl(name) - leap_s
            client.expire(name, left) if left > 0 else client.delete(name)
        assert await there.spend(person, TWO) != "site", f"a leap of {leap_s} s"
        for place, node in enumerate(site):
            # The other one learns of a new mark by the next call.
            await node.spend(_beside(person), showing(place))
            await node.until("shared", "began_anew")
        here.steps.pass_floor()


def _beside(person):
    """Give somebody else of the same shard."""
    mark = _names_of(person)[1]
    return next(item for item in map(credential, range(900, 2_000)) if _names_of(item)[1] == mark)


def _names_of(person):
    key = SiteKey(SECRET, "kanhe")
    return key.spent_names(key.hide(person))


async def test_a_mark_that_ends_while_it_is_looked_at_is_a_memory_that_began_anew(redis_server):
    link = RedisLink(LinkOptions(url=redis_server.url))
    try:
        # As after a look that still saw a mark: somebody flushed meanwhile, or its time was over.
        assert await link.run(SET_MARK, ("kanhe:{0}:mark",), (b"seen", b"new", 60), 1.0) == [b""]
        assert redis_server.client().get("kanhe:{0}:mark") is None
        assert await link.run(SET_MARK, ("kanhe:{0}:mark",), (b"", b"new", 60), 1.0) == [b"new"]
        assert await link.run(SET_MARK, ("kanhe:{0}:mark",), (b"", b"other", 60), 1.0) == [b"new"]
        redis_server.client().hset("kanhe:{1}:mark", "a", "b")
        assert await link.run(
            SET_MARK, ("kanhe:{1}:mark",), (b"", b"new", 60), 1.0) == [b"another type"]
    finally:
        await link.close()
