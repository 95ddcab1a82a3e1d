"""Truncation: the end of an answer is missing, in bytes or in changes."""

import pytest

from edge.sync.envelope import Refusal, Rule
from tests.attacks.feed_story import GRANTED, NOW_S, REVOKED, enrolled, refused
from tests.fakes.feed_forge import Forge


def test_answer_cut_at_any_byte_is_refused_and_the_whole_believed_after_it():
    forge = Forge(NOW_S)
    node = enrolled(forge)
    data = forge.batch(0, GRANTED, REVOKED)
    for length in range(len(data)):
        with pytest.raises(Refusal):
            node.changes(data[:length], NOW_S)
    node, batch = node.changes(data, NOW_S)
    assert batch.changes == (GRANTED, REVOKED)


def test_empty_batch_of_a_log_that_has_more_is_refused():
    forge = Forge(NOW_S)
    with refused(Rule.TRUNCATED):
        enrolled(forge).changes(forge.batch(0, head=1), NOW_S)


def test_batch_beyond_the_end_of_its_own_log_is_refused():
    forge = Forge(NOW_S)
    with refused(Rule.CONTENT):
        enrolled(forge).changes(forge.batch(0, GRANTED, REVOKED, head=1), NOW_S)
