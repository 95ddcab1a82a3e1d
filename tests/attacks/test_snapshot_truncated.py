"""Truncation: the end of a snapshot or of a part is missing."""

import zlib

import pytest

from edge.protocol.snapshot import PartError, unpack_part
from edge.sync.envelope import Rule
from edge.sync.snapshot import trust_timestamp
from tests.attacks.feed_story import GRANTED, NOW_S, refused
from tests.attacks.snapshot_story import HELD, at, believed
from tests.fakes.feed_forge import Forge
from tests.fakes.snapshot_forge import KEYS, Forged, said_of


def test_timestamp_cut_at_any_byte_is_refused():
    forge = Forge(NOW_S)
    forged = Forged(forge, HELD)
    for size in range(len(forged.timestamp)):
        with refused(Rule.FORM):
            trust_timestamp(at(forge), forged.timestamp[:size], NOW_S)


def test_snapshot_cut_at_any_byte_is_refused_and_the_whole_believed_after_it():
    forge = Forge(NOW_S)
    forged = Forged(forge, HELD)
    trusted = trust_timestamp(at(forge), forged.timestamp, NOW_S)
    for size in range(len(forged.snapshot)):
        with refused(Rule.SIZE):
            trusted.snapshot(forged.snapshot[:size], NOW_S)
    assert trusted.snapshot(forged.snapshot, NOW_S).snapshot == forged.body


def test_part_cut_at_any_byte_is_refused_and_the_whole_believed_after_it():
    forge = Forge(NOW_S)
    forged = Forged(forge, [GRANTED])
    snapshot = believed(at(forge), forged)
    for size in range(len(forged.parts[0])):
        with refused(Rule.SIZE):
            snapshot.part(0, forged.parts[0][:size], KEYS)
    assert snapshot.part(0, forged.parts[0], KEYS) == [GRANTED]


def test_cut_compression_is_refused():
    data = zlib.compress(b"whole" * 100)[:-1]
    with pytest.raises(PartError):
        unpack_part(data, said_of(data, 500, 1), "log", None)
