"""Reordering: later changes come before earlier ones, or some are left out between."""

from edge.sync.envelope import Rule
from tests.attacks.feed_story import GRANTED, NOW_S, REVOKED, enrolled, refused
from tests.fakes.feed_forge import Forge


def test_later_batch_before_an_earlier_one_is_refused():
    forge = Forge(NOW_S)
    with refused(Rule.ORDER):
        enrolled(forge).changes(forge.batch(1, REVOKED), NOW_S)


def test_gap_between_batches_is_refused():
    forge = Forge(NOW_S)
    node, _ = enrolled(forge).changes(forge.batch(0, GRANTED, head=3), NOW_S)
    with refused(Rule.ORDER):
        node.changes(forge.batch(2, REVOKED), NOW_S)


def test_root_that_skips_a_version_is_refused():
    forge = Forge(NOW_S)
    base = enrolled(forge).base
    with refused(Rule.ORDER):
        base.rotated(forge.rotate_root(keep=("root",), version=3))
