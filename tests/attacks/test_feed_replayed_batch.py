"""Replay: a batch that was believed already is sent again."""

from edge.sync.envelope import Rule
from tests.attacks.feed_story import GRANTED, NOW_S, REVOKED, enrolled, refused
from tests.fakes.feed_forge import Forge


def test_batch_sent_twice_is_refused_the_second_time():
    forge = Forge(NOW_S)
    data = forge.batch(0, GRANTED)
    node, _ = enrolled(forge).changes(data, NOW_S)
    with refused(Rule.ORDER):
        node.changes(data, NOW_S)


def test_grant_from_before_a_revocation_does_not_undo_it():
    forge = Forge(NOW_S)
    grant = forge.batch(0, GRANTED)
    node, _ = enrolled(forge).changes(grant, NOW_S)
    node, _ = node.changes(forge.batch(1, REVOKED), NOW_S)
    with refused(Rule.ORDER):
        node.changes(grant, NOW_S)
    assert node.mark.cursor == 2
