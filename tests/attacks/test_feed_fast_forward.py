"""Fast-forward: a stolen signing key pushes the floors so high that honest metadata drowns."""

from edge.sync.envelope import Rule
from tests.attacks.feed_story import GRANTED, NODE, NOW_S, REVOKED, enrolled, refused
from tests.fakes.city import epoch
from tests.fakes.feed_forge import Forge

SEAL = bytes(range(32))


def test_log_pushed_beyond_reach_is_followed_again_once_the_key_is_withdrawn():
    forge = Forge(NOW_S)
    node, _ = enrolled(forge).changes(
        forge.batch(0, GRANTED, head=2**40, issued_s=NOW_S + 300), NOW_S)
    with refused(Rule.ROLLBACK):
        node.changes(forge.batch(1, REVOKED), NOW_S)
    node = node.base.rotated(forge.rotate_root()).feed(NOW_S)
    node, _ = node.changes(forge.batch(1, REVOKED), NOW_S)
    assert (node.mark.cursor, node.mark.head) == (2, 2)


def test_key_version_pushed_beyond_reach_is_lifted_once_the_key_is_withdrawn():
    forge = Forge(NOW_S)
    node, _ = enrolled(forge).keys(
        forge.delivery(NODE, SEAL, epoch(20_000), version=2**40), NOW_S)
    node = node.base.rotated(forge.rotate_root()).feed(NOW_S)
    assert node.mark.keys_pending
    node, _ = node.keys(forge.delivery(NODE, SEAL, epoch(20_000), version=2), NOW_S)
    assert node.mark.keys_version == 2


def test_floors_stay_where_no_key_was_withdrawn():
    forge = Forge(NOW_S)
    node, _ = enrolled(forge).changes(forge.batch(0, GRANTED, head=5), NOW_S)
    node = node.base.rotated(forge.rotate_root(keep=("changes", "keys"))).feed(NOW_S)
    with refused(Rule.ROLLBACK):
        node.changes(forge.batch(1, REVOKED), NOW_S)
