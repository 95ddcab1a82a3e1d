"""Freeze: an attacker holds news back and repeats old, genuinely signed answers."""

import pytest

from edge.sync.envelope import Rule
from tests.attacks.feed_story import GRANTED, NODE, NOW_S, enrolled, refused
from tests.fakes.city import epoch
from tests.fakes.feed_forge import LIFE_S, ROOT_LIFE_S, Forge

SEAL = bytes(range(32))


@pytest.mark.parametrize(("age_s", "believed"), [(LIFE_S - 1, True), (LIFE_S, False)])
def test_sign_of_life_is_believed_until_it_expires(age_s, believed):
    forge = Forge(NOW_S)
    node = enrolled(forge)
    if believed:
        node.changes(forge.batch(0), NOW_S + age_s)
    else:
        with refused(Rule.EXPIRED):
            node.changes(forge.batch(0), NOW_S + age_s)


def test_expired_key_delivery_is_refused():
    forge = Forge(NOW_S)
    data = forge.delivery(NODE, SEAL, epoch(20_000))
    with refused(Rule.EXPIRED):
        enrolled(forge).keys(data, NOW_S + LIFE_S)


def test_expired_root_believes_nothing_new():
    forge = Forge(NOW_S)
    node = enrolled(forge)
    later = NOW_S + ROOT_LIFE_S
    forge.now_s = later
    with refused(Rule.ROOT_EXPIRED):
        node.changes(forge.batch(0), later)
    with refused(Rule.ROOT_EXPIRED):
        node.keys(forge.delivery(NODE, SEAL, epoch(20_000)), later)
    with refused(Rule.ROOT_EXPIRED):
        node.base.feed(later)


def test_expired_root_still_leads_to_the_next_one():
    forge = Forge(NOW_S)
    base = enrolled(forge).base
    later = NOW_S + ROOT_LIFE_S
    forge.now_s = later
    node = base.rotated(forge.rotate_root()).feed(later)
    node, _ = node.changes(forge.batch(0, GRANTED), later)
    assert node.mark.cursor == 1


def test_answer_from_the_future_is_refused_so_that_it_cannot_bar_honest_ones():
    forge = Forge(NOW_S)
    with refused(Rule.FUTURE):
        enrolled(forge).changes(forge.batch(0, issued_s=NOW_S + 301), NOW_S)
    enrolled(forge).changes(forge.batch(0, issued_s=NOW_S + 300), NOW_S)
