"""Bit flips: any single bit of an answer is turned over on the way."""

import pytest

from edge.sync.envelope import Refusal
from tests.attacks.feed_story import GRANTED, NODE, NOW_S, enrolled
from tests.fakes.city import epoch
from tests.fakes.feed_forge import Forge

SEAL = bytes(range(32))


def flips(data: bytes):
    for index in range(len(data)):
        yield data[:index] + bytes((data[index] ^ (1 << index % 8),)) + data[index + 1:]


def test_batch_with_any_byte_altered_is_refused():
    forge = Forge(NOW_S)
    node = enrolled(forge)
    for altered in flips(forge.batch(0, GRANTED)):
        with pytest.raises(Refusal):
            node.changes(altered, NOW_S)


def test_key_delivery_with_any_byte_altered_is_refused():
    forge = Forge(NOW_S)
    node = enrolled(forge)
    for altered in flips(forge.delivery(NODE, SEAL, epoch(20_000))):
        with pytest.raises(Refusal):
            node.keys(altered, NOW_S)


def test_root_with_any_byte_altered_is_refused():
    forge = Forge(NOW_S)
    base = enrolled(forge).base
    for altered in flips(forge.rotate_root(keep=("changes", "keys"))):
        with pytest.raises(Refusal):
            base.rotated(altered)
