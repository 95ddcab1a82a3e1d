"""Freeze: an attacker repeats old, genuinely signed names of snapshots."""

import pytest

from edge.sync.envelope import Rule
from edge.sync.snapshot import trust_timestamp
from tests.attacks.feed_story import NOW_S, refused
from tests.attacks.snapshot_story import HELD, at
from tests.fakes.feed_forge import LIFE_S, ROOT_LIFE_S, Forge
from tests.fakes.snapshot_forge import Forged


@pytest.mark.parametrize(("age_s", "good"), [(LIFE_S - 1, True), (LIFE_S, False)])
def test_timestamp_is_believed_until_it_expires(age_s, good):
    forge = Forge(NOW_S)
    forged = Forged(forge, HELD)
    if good:
        trust_timestamp(at(forge), forged.timestamp, NOW_S + age_s)
    else:
        with refused(Rule.EXPIRED):
            trust_timestamp(at(forge), forged.timestamp, NOW_S + age_s)


def test_expired_snapshot_is_refused_though_a_fresh_timestamp_names_it():
    forge = Forge(NOW_S)
    forged = Forged(forge, HELD, said={"expires_s": NOW_S})
    trusted = trust_timestamp(at(forge), forged.timestamp, NOW_S)
    with refused(Rule.EXPIRED):
        trusted.snapshot(forged.snapshot, NOW_S)


def test_timestamp_from_the_future_is_refused():
    forge = Forge(NOW_S)
    forged = Forged(forge, named={"issued_s": NOW_S + 301})
    with refused(Rule.FUTURE):
        trust_timestamp(at(forge), forged.timestamp, NOW_S)


def test_expired_root_takes_no_snapshot_in():
    forge = Forge(NOW_S)
    feed = at(forge)
    forge.now_s = later = NOW_S + ROOT_LIFE_S
    with refused(Rule.ROOT_EXPIRED):
        trust_timestamp(feed, Forged(forge).timestamp, later)
