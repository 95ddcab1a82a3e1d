"""A card of yesterday, kept from before the credential was withdrawn, goes into today's code."""

import msgspec
import pytest

from tests.attacks.card_story import StrangersDesk
from tests.pipeline.desk import DAY, KEYS


@pytest.fixture
def desk(tmp_path):
    desk = StrangersDesk(tmp_path)
    yield desk
    desk.close()


@pytest.mark.parametrize("day,reason", [
    (DAY - 1, "card_mismatch"), (DAY, "ok"), (DAY + 1, "card_mismatch")])
async def test_a_card_is_good_for_its_own_day_only(desk, day, reason):
    desk.policy("face", cards="without_status")
    other = desk.card(epoch=msgspec.structs.replace(KEYS, key_epoch=day))
    assert (await desk.shown(other)).reason == reason
