"""A card of somebody else is attached to one's own genuine code."""

import msgspec
import pytest

from edge.hotpath.keys import KeyRing
from edge.hotpath.presentation import DriftWindow, check_presentation
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.protocol.feed import PutCredential
from edge.protocol.kh1 import SUITE_SEALED
from tests.attacks.card_story import OTHER, StrangersDesk
from tests.pipeline.desk import CREDENTIAL, KEYS, NOW, OWNER, STEP


@pytest.fixture
def desk(tmp_path):
    desk = StrangersDesk(tmp_path)
    yield desk
    desk.close()


async def test_another_holders_card_is_refused_and_spends_nothing(desk):
    theirs = desk.card(OTHER)
    answer = await desk.shown(theirs)
    assert (answer.decision, answer.reason) == ("reject", "card_mismatch")
    assert answer.credential is None
    assert (await desk.shown(desk.card())).reason == "ok"


async def test_a_card_with_ones_own_face_for_another_credential_is_refused(desk):
    mine = desk.card(OTHER, OWNER)
    assert (await desk.shown(mine, credential_id=CREDENTIAL)).reason == "card_mismatch"


async def test_a_false_card_is_refused_by_a_node_that_could_do_without_it(desk):
    desk.put(PutCredential(desk.credential()))
    assert (await desk.shown(desk.card(OTHER), "code")).reason == "card_mismatch"


async def test_who_lacks_the_holders_key_cannot_attach_a_card(desk):
    ring = KeyRing.derive([KEYS])
    mine = derive_wallet_keys(next(iter(ring)), SUITE_SEALED, CREDENTIAL)
    without = msgspec.structs.replace(mine, holder_key=bytes(32))
    text = make_presentation(without, STEP, desk.card())
    assert check_presentation(text, NOW, ring, DriftWindow()).reason == "mac_mismatch"
