"""What verdicts make of the clock: refer, narrow, and a jump across a key epoch."""

import msgspec
import pytest

from edge.hotpath.keys import KeyRing
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.protocol.records import EpochKeys
from tests.clock.machine import Machine
from tests.pipeline.desk import CREDENTIAL, DAY, KEYS, NOW, STEP, Desk

TOMORROW = EpochKeys(key_epoch=DAY + 1, master=bytes([7] * 32), seal_private=bytes([8] * 32))


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.wall = NOW
    return machine


@pytest.fixture
def desk(tmp_path, machine):
    desk = Desk(tmp_path)
    desk.trust = msgspec.structs.replace(desk.trust, keys=KeyRing.derive([KEYS, TOMORROW]))
    desk.clock = machine.clock()
    desk.verifier = desk.build(desk.journal)
    yield desk
    desk.close()


@pytest.mark.parametrize("seconds", [86_400.0, -86_400.0, 60.0, -60.0])
async def test_a_jump_refers_and_neither_spends_nor_forgets(desk, machine, seconds):
    assert await desk.reason() == "ok"
    machine.passes(5)
    floor = desk.guard.floor
    machine.is_set(seconds)
    assert await desk.reason(code=desk.code(STEP + 1)) == "clock_untrusted"
    assert desk.guard.floor == floor
    machine.is_set(-seconds)
    assert await desk.reason(code=desk.code(STEP + 1)) == "ok"
    assert await desk.reason(code=desk.code(STEP)) != "ok"


async def test_a_jump_across_the_key_epoch_accepts_no_code_of_the_other_day(desk, machine):
    assert await desk.reason() == "ok"
    machine.is_set(86_400)
    tomorrow = next(iter(KeyRing.derive([TOMORROW])))
    code = make_presentation(derive_wallet_keys(tomorrow, 1, CREDENTIAL), STEP + 17_280)
    assert await desk.reason(code=code) == "clock_untrusted"


@pytest.mark.parametrize("away", [-1, 0, 1])
async def test_a_degraded_clock_narrows_the_window_where_the_policy_says_so(desk, away):
    desk.policy("code", clock_degraded="narrow")
    found = await desk.reason(code=desk.code(STEP + away))
    assert found == {-1: "step_expired", 0: "ok", 1: "step_future"}[away]


@pytest.mark.parametrize("says,reason", [("judge", "ok"), ("refer", "clock_untrusted")])
async def test_a_degraded_clock_judges_or_refers_as_the_policy_says(desk, says, reason):
    desk.policy("code", clock_degraded=says)
    assert await desk.reason(code=desk.code(STEP - 1)) == reason


@pytest.mark.parametrize("reason,code", [
    ("ok", lambda desk: desk.code()), ("step_expired", lambda desk: desk.code(STEP - 9)),
    ("step_future", lambda desk: desk.code(STEP + 9))])
async def test_every_genuine_code_is_heard(desk, reason, code):
    assert await desk.reason(code=code(desk)) == reason
    assert desk.clock.detail().codes == 1


async def test_no_forged_or_unreadable_code_is_heard(desk):
    forged = next(iter(KeyRing.derive([msgspec.structs.replace(KEYS, master=bytes(32))])))
    for text in ("KH1:BB8", make_presentation(derive_wallet_keys(forged, 1, CREDENTIAL), STEP)):
        assert await desk.reason(code=text) in {"malformed", "mac_mismatch"}
    assert desk.clock.detail().codes == 0


async def test_an_untrusted_clock_still_learns_from_genuine_codes(desk, machine):
    assert await desk.reason() == "ok"
    machine.is_set(40)
    epoch = next(iter(KeyRing.derive([KEYS])))
    for number in range(30):
        code = make_presentation(
            derive_wallet_keys(epoch, 1, number.to_bytes(16, "big")), STEP + number // 10)
        await desk.reason(code=code)
        machine.passes(0.5)
    assert desk.clock.state == "untrusted"
    assert desk.clock.detail().codes_skew_s == pytest.approx(-40, abs=5)
    machine.is_set(-40)
    machine.passes(1)
    assert desk.clock.state == "trusted"
