"""Oversized: more bytes or parts than were named, or than any honest snapshot has."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.protocol.snapshot import PARTS_MAX, PartError, unpack_part
from edge.sync.envelope import Refusal, Rule
from edge.sync.snapshot import trust_timestamp
from tests.attacks.feed_story import GRANTED, NOW_S, refused
from tests.attacks.snapshot_story import HELD, at, believed
from tests.fakes.feed_forge import Forge
from tests.fakes.snapshot_forge import KEYS, Forged, said_of


def test_part_that_goes_on_beyond_its_said_length_is_refused():
    forge = Forge(NOW_S)
    forged = Forged(forge, [GRANTED])
    with refused(Rule.SIZE):
        believed(at(forge), forged).part(0, forged.parts[0] + b"\0", KEYS)
    with refused(Rule.SIZE):
        believed(at(forge), forged).part(0, forged.parts[0][:-1], KEYS)


def test_bytes_behind_the_end_of_a_part_are_refused():
    data = zlib.compress(b"whole") + b"more"
    with pytest.raises(PartError):
        unpack_part(data, said_of(data, 5, 1), "log", None)


def test_more_parts_than_the_bound_are_refused():
    forge = Forge(NOW_S)
    part = said_of(b"x", 1, 1)
    with refused(Rule.CONTENT):
        believed(at(forge), Forged(forge, said={"parts": (part,) * (PARTS_MAX + 1)}))


def test_snapshot_of_another_length_than_named_is_refused_unparsed():
    forge = Forge(NOW_S)
    forged = Forged(forge, HELD)
    trusted = trust_timestamp(at(forge), forged.timestamp, NOW_S)
    with refused(Rule.SIZE):
        trusted.snapshot(forged.snapshot + b"\0", NOW_S)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_refusal_and_nothing_else(data):
    for judge in (lambda: trust_timestamp(at(FORGE), data, NOW_S),
                  lambda: believed(at(FORGE), _with(data))):
        with pytest.raises(Refusal):
            judge()


def _with(data: bytes) -> Forged:
    forged = Forged(FORGE, HELD)
    forged.snapshot = data
    return forged


FORGE = Forge(NOW_S)
