"""Rollback: an older snapshot, genuinely signed, is offered to a node that knows better."""

from edge.sync.envelope import Rule
from edge.sync.snapshot import trust_timestamp
from tests.attacks.feed_story import NOW_S, refused
from tests.attacks.snapshot_story import HELD, at, believed, taken
from tests.fakes.feed_forge import Forge
from tests.fakes.snapshot_forge import Forged


def test_honest_snapshot_moves_the_mark_and_changes_follow_from_there():
    forge = Forge(NOW_S)
    mark = taken(at(forge), Forged(forge, HELD, cursor=7, version=3))
    assert (mark.cursor, mark.head, mark.snapshot_version) == (7, 7, 3)
    feed, _ = at(forge, cursor=mark.cursor, head=mark.head).changes(forge.batch(7), NOW_S)
    assert feed.mark.cursor == 7


def test_snapshot_of_fewer_changes_than_held_is_refused():
    forge = Forge(NOW_S)
    with refused(Rule.ROLLBACK):
        believed(at(forge, cursor=8, head=8), Forged(forge, HELD, cursor=7))
    believed(at(forge, cursor=7, head=9), Forged(forge, HELD, cursor=7))


def test_timestamp_that_names_an_older_version_is_refused():
    forge = Forge(NOW_S)
    with refused(Rule.ROLLBACK):
        trust_timestamp(at(forge, snapshot_version=3), Forged(forge, version=2).timestamp, NOW_S)
    trust_timestamp(at(forge, snapshot_version=3), Forged(forge, version=3).timestamp, NOW_S)


def test_timestamp_issued_before_the_one_believed_is_refused():
    forge = Forge(NOW_S)
    with refused(Rule.ROLLBACK):
        trust_timestamp(
            at(forge, timestamp_issued_s=NOW_S + 1), Forged(forge).timestamp, NOW_S)


def test_floor_of_a_withdrawn_timestamp_key_is_lifted():
    forge = Forge(NOW_S)
    before = at(forge, snapshot_version=9_999, timestamp_issued_s=NOW_S + 200).base
    after = before.rotated(forge.rotate_root())
    assert (after.mark.snapshot_version, after.mark.timestamp_issued_s) == (0, 0)
