"""A holder alters the card that was issued: a later end, another type, another face, no status."""

import pytest

from edge.hotpath import card as cards
from edge.protocol import cose
from tests.attacks.card_story import StrangersDesk
from tests.fakes.ports import template_of
from tests.pipeline.desk import OWNER, STRANGER


@pytest.fixture
def desk(tmp_path):
    desk = StrangersDesk(tmp_path)
    yield desk
    desk.close()


def with_body(place, value):
    return lambda claims: claims[cards.BODY].__setitem__(place, value)


@pytest.mark.parametrize("change", [
    with_body(0, "police_card"), with_body(2, None), with_body(3, {"name": "李*"}),
    with_body(5, template_of(STRANGER).tobytes()),
    lambda claims: claims.pop(cards.STATUS),
    lambda claims: claims.update({cards.STATUS: {"status_list": {"idx": 6, "uri": "kanhe:l/0"}}}),
    lambda claims: claims.update({cards.EXPIRES: claims[cards.EXPIRES] + 86_400}),
], ids=["type", "end", "name", "face", "status_dropped", "status_moved", "day"])
async def test_no_claim_can_be_changed(desk, change):
    desk.policy("face", cards="without_status")
    issued = cose.parse_sign1(desk.card(record={"valid_until_s": 2**31}))
    claims = cose.load_claims(issued.payload)
    before = cose.dump(claims)
    change(claims)
    assert cose.dump(claims) != before
    altered = cose._packed(cose.Sign1(issued.protected, cose.dump(claims), issued.signature))
    assert (await desk.shown(altered, face=OWNER)).reason == "card_mismatch"


async def test_headers_cannot_choose_another_algorithm_or_key(desk):
    issued = cose.parse_sign1(desk.card())
    for header in ({1: -7}, {1: 5}, {}, {1: -8, 4: b"kid"}):
        other = cose.Sign1(cose.dump(header), issued.payload, issued.signature)
        assert (await desk.shown(cose._packed(other))).reason == "card_mismatch"
