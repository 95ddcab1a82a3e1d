"""What a node brings back of what it spent alone: where it can't be all, the newest."""

import random

from edge.cache.site import alone
from edge.cache.site.alone import newest, with_recalled
from tests.site.nodes import credential, showing

EACH = 4


async def test_of_more_than_is_kept_a_node_brings_back_the_newest(
    site, redis_server, monkeypatch
):
    here, there = site
    monkeypatch.setattr(alone, "ALONE_MAX", EACH)
    now = here.steps.now
    shown = [credential(300 + number) for number in range(3 * EACH)]
    for number, person in enumerate(shown):
        step = now - 1 + number // EACH
        assert await here.spend(person, showing(number), step) == "site"
    redis_server.client().flushall()
    for place, node in enumerate(site):
        await node.spend(credential(1 + place), showing(place))
        await node.until("shared", "began_anew")
    found = [await there.spend(person, showing(100), now + 1) for person in shown]
    assert "spent" not in found[:-EACH]
    # One place is that of what told the node that Redis forgot.
    assert found[-EACH:].count("spent") == EACH - 1


def test_the_newest_are_those_of_the_highest_steps(monkeypatch):
    monkeypatch.setattr(alone, "ALONE_MAX", 50)
    spent = [(credential(number), random.Random(number).randrange(9), b"") for number in range(400)]
    for order in (spent, spent[::-1], sorted(spent, key=lambda item: item[1])):
        steps = [step for _, step, _ in newest(iter(order))]
        assert steps == sorted(step for _, step, _ in spent)[-50:]
    assert sorted(newest(spent[:50])) == sorted(spent[:50])


def test_what_is_recalled_takes_the_room_that_what_is_kept_leaves(monkeypatch):
    monkeypatch.setattr(alone, "ALONE_MAX", 4)
    kept = {b"old": (6, b"", True), b"a": (9, b"a", True), b"b": (9, b"b", True)}
    recalled = {b"c": (7, b"", False), b"a": (8, b"other", False), b"d": (8, b"", False),
                b"e": (9, b"", False)}
    assert list(with_recalled(kept, recalled, 7).items()) == [
        (b"d", (8, b"", False)), (b"e", (9, b"", False)),
        (b"a", (9, b"a", True)), (b"b", (9, b"b", True))]
    full = {bytes([number]): (9, b"", True) for number in range(4)}
    assert with_recalled(full, recalled, 7) == full
