"""Compression bomb: a part that unpacks to more than was said, or to more than any may."""

import zlib

import pytest

from edge.protocol.snapshot import PART_BYTES_MAX, PartError, unpack_part
from edge.sync.envelope import Rule
from tests.attacks.feed_story import GRANTED, NOW_S, refused
from tests.attacks.snapshot_story import at, believed
from tests.fakes.feed_forge import Forge
from tests.fakes.snapshot_forge import Forged, said_of


def test_compression_bomb_is_not_unpacked_beyond_its_said_length():
    bomb = zlib.compress(bytes(64 * 1024 * 1024), 9)
    with pytest.raises(PartError):
        unpack_part(bomb, said_of(bomb, 1_000, 1), "log", None)
    forge = Forge(NOW_S)
    forged = Forged(forge, [GRANTED], key=0, said={"parts": (said_of(bomb, 1_000, 1),)})
    with refused(Rule.CONTENT):
        believed(at(forge), forged).part(0, bomb, {})


def test_bomb_that_says_its_size_is_over_the_bound():
    forge = Forge(NOW_S)
    for said in ({"plain_length": PART_BYTES_MAX + 1}, {"length": PART_BYTES_MAX + 1},
                 {"changes": 0}, {"length": 0}, {"digest": bytes(31)}, {"key": -1}):
        with refused(Rule.CONTENT):
            believed(at(forge), Forged(forge, [GRANTED], part_said=said))
