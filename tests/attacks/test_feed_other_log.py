"""Another log: metadata of a log with the same keys but another name."""

from edge.sync.envelope import Rule
from tests.attacks.feed_story import GRANTED, NODE, NOW_S, enrolled, refused
from tests.fakes.city import epoch
from tests.fakes.feed_forge import Forge

SEAL = bytes(range(32))


def test_changes_keys_and_roots_of_another_log_are_refused():
    forge = Forge(NOW_S)
    node = enrolled(forge)
    with refused(Rule.LOG):
        node.changes(forge.batch(0, GRANTED, log="test-staging"), NOW_S)
    with refused(Rule.LOG):
        node.keys(forge.delivery(NODE, SEAL, epoch(20_000), log="test-staging"), NOW_S)
    with refused(Rule.LOG):
        node.base.rotated(forge.rotate_root(log="test-staging"))


def test_another_format_is_refused_with_words_about_versions():
    forge = Forge(NOW_S)
    with refused(Rule.FORMAT):
        enrolled(forge).changes(forge.batch(0, GRANTED, format=2), NOW_S)
