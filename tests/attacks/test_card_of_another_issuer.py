"""A card signed by somebody who isn't the issuer, or by the issuer for something else."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.hotpath.statuslist import make_token
from edge.protocol.records import Status
from tests.attacks.card_story import StrangersDesk
from tests.fakes import cards
from tests.pipeline.desk import NOW


@pytest.fixture
def desk(tmp_path):
    desk = StrangersDesk(tmp_path)
    yield desk
    desk.close()


async def test_a_strangers_signature_is_refused(desk):
    forged = desk.card(key=Ed25519PrivateKey.generate())
    assert (await desk.shown(forged)).reason == "card_mismatch"


async def test_another_citys_card_is_refused_though_the_key_were_the_same(desk):
    assert (await desk.shown(desk.card(issuer="another"))).reason == "card_mismatch"


async def test_a_status_list_is_no_card(desk):
    token = make_token(cards.status_list(Status.VALID, int(NOW)), cards.KEY)
    assert (await desk.shown(token)).reason == "card_mismatch"
