"""A card that is no card but a load for whoever decodes it: large, deep, or lying about lengths."""

import time

import pytest

from edge.hotpath import card as cards
from edge.protocol import cose
from tests.attacks.card_story import StrangersDesk
from tests.fakes.cards import KEY
from tests.pipeline.desk import STEP

DEEP = b"\x81" * 900 + b"\x00"
HUGE_ARRAY = b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"
HUGE_BYTES = b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff"
BIG_EXPONENT = b"\xc4\x82\x1a\x7f\xff\xff\xff\x01"
ENDLESS = b"\x9f" * 400
SHARED = b"\xd8\x1c\x81\xd8\x1d\x00"


@pytest.fixture
def desk(tmp_path):
    desk = StrangersDesk(tmp_path)
    yield desk
    desk.close()


@pytest.mark.parametrize("payload", [DEEP, HUGE_ARRAY, HUGE_BYTES, BIG_EXPONENT, ENDLESS, SHARED])
async def test_nothing_unsigned_is_decoded_and_even_signed_it_is_only_refused(desk, payload):
    began = time.process_time()
    bare = b"\xd2\x84\x43\xa1\x01\x27\xa0" + payload
    signed = cose.sign(KEY, cards._PROTECTED, payload, cards._CONTEXT)
    for step, data in enumerate((payload, bare, signed)):
        assert (await desk.shown(data, step=STEP - 1 + step)).reason == "card_mismatch"
    assert time.process_time() - began < 2.0


async def test_a_card_over_the_bound_is_refused_unread(desk):
    for size, step in ((cards.CARD_BYTES_MAX + 1, STEP), (2_700, STEP + 1)):
        assert (await desk.shown(bytes(size), step=step)).reason == "card_mismatch"


@pytest.mark.parametrize("head", [
    b"\x58\x00", b"\x59\x00\x03\xa1\x01\x27", b"\x5a\xff\xff\xff\xff", b"\x5f\x41\xa1\xff",
    b"\x7b" + b"\xff" * 8, b"\x43\xa1", b""])
async def test_lengths_that_lie_are_refused(desk, head):
    assert (await desk.shown(b"\xd2\x84" + head)).reason == "card_mismatch"
