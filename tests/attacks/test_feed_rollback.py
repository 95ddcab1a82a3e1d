"""Rollback: an older, genuinely signed state is offered again to undo a revocation."""

from edge.protocol.feed import EpochsChanged
from edge.sync.envelope import Rule
from tests.attacks.feed_story import GRANTED, NODE, NOW_S, REVOKED, enrolled, refused
from tests.fakes.city import epoch
from tests.fakes.feed_forge import Forge

SEAL = bytes(range(32))


def test_batch_issued_before_the_last_believed_one_is_refused():
    forge = Forge(NOW_S)
    earlier = forge.batch(1, head=1)
    forge.now_s += 1
    node, _ = enrolled(forge).changes(forge.batch(0, GRANTED), NOW_S + 1)
    with refused(Rule.ROLLBACK):
        node.changes(earlier, NOW_S + 2)


def test_batch_issued_in_the_same_second_is_believed():
    forge = Forge(NOW_S)
    node, _ = enrolled(forge).changes(forge.batch(0, GRANTED), NOW_S)
    node, _ = node.changes(forge.batch(1, REVOKED), NOW_S)
    assert node.mark.cursor == 2


def test_log_that_became_shorter_is_refused():
    forge = Forge(NOW_S)
    node, _ = enrolled(forge).changes(forge.batch(0, GRANTED, head=5), NOW_S)
    with refused(Rule.ROLLBACK):
        node.changes(forge.batch(1, REVOKED, head=4), NOW_S)


def test_older_key_delivery_is_refused():
    forge = Forge(NOW_S)
    node = enrolled(forge)
    old = forge.delivery(NODE, SEAL, epoch(20_000), version=1)
    node, _ = node.keys(forge.delivery(NODE, SEAL, epoch(20_001), version=2), NOW_S)
    with refused(Rule.ROLLBACK):
        node.keys(old, NOW_S)


def test_key_delivery_of_this_version_issued_earlier_is_refused():
    forge = Forge(NOW_S)
    old = forge.delivery(NODE, SEAL, epoch(20_000), version=1)
    forge.now_s += 1
    node, _ = enrolled(forge).keys(
        forge.delivery(NODE, SEAL, epoch(20_000), version=1), NOW_S + 1)
    with refused(Rule.ROLLBACK):
        node.keys(old, NOW_S + 1)


def test_older_root_is_refused():
    forge = Forge(NOW_S)
    base = enrolled(forge).base
    with refused(Rule.ORDER):
        base.rotated(forge.roots[0])


def test_next_root_issued_before_the_one_held_is_refused():
    forge = Forge(NOW_S)
    base = enrolled(forge).base
    with refused(Rule.ROLLBACK):
        base.rotated(forge.rotate_root(issued_s=NOW_S - 1))


def test_key_delivery_from_before_the_announcement_leaves_the_new_epochs_wanted():
    forge = Forge(NOW_S)
    node = enrolled(forge)
    node, _ = node.keys(forge.delivery(NODE, SEAL, epoch(20_000)), NOW_S)
    before = forge.delivery(NODE, SEAL, epoch(20_000))
    forge.now_s += 1
    node, _ = node.changes(forge.batch(0, EpochsChanged(20_001)), NOW_S + 1)
    node, _ = node.keys(before, NOW_S + 1)
    assert node.mark.keys_pending
    node, _ = node.keys(forge.delivery(NODE, SEAL, epoch(20_001), version=2), NOW_S + 1)
    assert not node.mark.keys_pending
