"""One verification: every reason reached, in its order, once, and the same answer again."""

import asyncio
import time

import msgspec
import pytest

from edge.errors import CapacityError, ImageError, JournalError, JournalFull
from edge.hotpath.liveness import Pose
from edge.hotpath.reasons import REASONS, Reason
from edge.pipeline.calls import (
    DeadlineMissed,
    RequestConflict,
    SceneForbidden,
    SceneUnknown,
    VerificationClosed,
    VerificationUnknown,
)
from edge.protocol.feed import PutCredential
from edge.protocol.records import Status
from tests.fakes.ports import BrokenJournal
from tests.pipeline.desk import (
    BLURRED,
    GATE,
    MANY,
    NOBODY,
    NOW,
    OTHER_GATE,
    OWNER,
    STEP,
    STRANGER,
    Desk,
)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


LATER = {
    Reason.CARD_MISMATCH, Reason.NOBODY, Reason.OPERATOR_ACCEPTED, Reason.OPERATOR_REJECTED,
}
"""Reasons whose calls this node doesn't serve: cards, 1:N, operators' decisions."""


def altered(code: str) -> str:
    return code[:-3] + ("000" if code[-3:] != "000" else "100")


async def spent_before(desk):
    await desk.verifier.verify(desk.call())
    return {}


def challenged(desk, turns_deg):
    """Ask for a challenge and let the face answer it by these turns."""
    desk.policy("face", challenge="required")
    desk.face.track = tuple(Pose(turn, turn, 0.0, 0.0, 0.1) for turn in turns_deg)
    shown = desk.verifier.challenge(GATE, "face")
    return {"scene": "face", "face": OWNER, "challenge": shown.challenge_id}


REACHED = {
    Reason.OK: lambda d: {},
    Reason.CODE_UNREADABLE: lambda d: {"frame": b""},
    Reason.CODES_MULTIPLE: lambda d: {"frame": f"{d.code()}\n{d.code(STEP + 1)}".encode()},
    Reason.FACE_ABSENT: lambda d: {"scene": "face", "face": NOBODY},
    Reason.FACE_MULTIPLE: lambda d: {"scene": "face", "face": MANY},
    Reason.FACE_QUALITY_LOW: lambda d: {"scene": "face", "face": BLURRED},
    Reason.MALFORMED: lambda d: {"code": "KH1:xx"},
    Reason.KEY_EPOCH_UNKNOWN: lambda d: setattr(
        d, "trust", msgspec.structs.replace(d.trust, keys=type(d.trust.keys)())) or {},
    Reason.MAC_MISMATCH: lambda d: {"code": altered(d.code())},
    Reason.STEP_EXPIRED: lambda d: {"code": d.code(STEP - 2)},
    Reason.STEP_FUTURE: lambda d: {"code": d.code(STEP + 2)},
    Reason.CLOCK_UNTRUSTED: lambda d: setattr(d.clock, "state", "untrusted") or {},
    Reason.CREDENTIAL_UNKNOWN: lambda d: {"code": d.code(credential=bytes(16))},
    Reason.CREDENTIAL_EXPIRED: lambda d: d.put(
        PutCredential(d.credential(valid_until_s=int(NOW)))) or {},
    Reason.CREDENTIAL_SUSPENDED: lambda d: d.set_status(Status.SUSPENDED) or {},
    Reason.CREDENTIAL_REVOKED: lambda d: d.set_status(Status.REVOKED) or {},
    Reason.CREDENTIAL_NOT_ACCEPTED_HERE: lambda d: d.policy("code", accepts=("driving_licence",))
    or {},
    Reason.TRUST_STALE: lambda d: d.policy("code", trust_age_max_s=4) or {},
    Reason.PRESENTATION_REPLAYED: spent_before,
    Reason.REFERENCE_MISSING: lambda d: d.put(
        PutCredential(d.credential(holder_id=bytes(16)))) or {"scene": "face", "face": OWNER},
    Reason.PACK_UNFIT: lambda d: d.policy("face", fmr_max=1e-4) or {"scene": "face", "face": OWNER},
    Reason.ATTACK_DETECTED: lambda d: setattr(d.face, "checks", {"passive": False})
    or {"scene": "face", "face": OWNER},
    Reason.CHALLENGE_FAILED: lambda d: challenged(d, [0.0] * 6),
    Reason.CHALLENGE_EXPIRED: lambda d: d.policy("face", challenge="required")
    or {"scene": "face", "face": OWNER},
    Reason.NO_MATCH: lambda d: {"scene": "face", "face": STRANGER},
}


def test_every_reason_is_reached_or_belongs_to_later_calls():
    assert set(REACHED) | LATER == set(Reason)
    assert not set(REACHED) & LATER
    assert set(REASONS) == set(Reason)


@pytest.mark.parametrize("reason", REACHED)
async def test_each_reason_is_reached_with_its_default_decision(desk, reason):
    call = REACHED[reason](desk)
    if asyncio.iscoroutine(call):
        call = await call
    answer = (await desk.verifier.verify(desk.call(**call))).answer
    assert answer.reason == reason
    assert answer.decision == REASONS[reason].decision
    assert (answer.disclosed is not None) == (answer.decision == "accept")
    assert answer.message.zh
    assert answer.message.en
    assert desk.seen.records[-1].reason == reason


async def test_an_accept_discloses_only_what_the_scene_may_see_masked(desk):
    answer = (await desk.verifier.verify(desk.call("face", face=OWNER))).answer
    assert answer.disclosed == {"name": "马**"}
    assert answer.face.score > answer.face.threshold
    assert answer.evidence.policy_version == 7
    assert answer.evidence.status_age_s == 5


async def test_nothing_is_said_of_a_credential_to_who_holds_no_genuine_code(desk):
    desk.set_status(Status.REVOKED)
    answer = (await desk.verifier.verify(desk.call(code=altered(desk.code())))).answer
    assert (answer.reason, answer.credential) == ("mac_mismatch", None)


async def test_a_refused_credential_does_not_spend_the_code(desk):
    desk.set_status(Status.SUSPENDED)
    assert await desk.reason() == "credential_suspended"
    desk.set_status(Status.VALID)
    assert await desk.reason() == "ok"


async def test_a_code_before_the_spent_one_is_a_replay_too(desk):
    assert await desk.reason(code=desk.code(STEP + 1)) == "ok"
    assert await desk.reason(code=desk.code(STEP)) == "presentation_replayed"


async def test_the_same_request_gives_the_same_answer_again(desk):
    call = desk.call("face", face=OWNER)
    first = (await desk.verifier.verify(call)).answer
    assert (await desk.verifier.verify(call)).answer == first
    assert desk.journal.size == 1


async def test_the_same_request_at_once_is_one_verification(desk):
    call = desk.call("face", face=OWNER)
    answers = await asyncio.gather(*(desk.verifier.verify(call) for _ in range(8)))
    assert len({outcome.answer.verification_id for outcome in answers}) == 1
    assert desk.journal.size == 1


async def test_the_same_request_with_another_body_is_a_conflict(desk):
    await desk.verifier.verify(desk.call(request="same"))
    with pytest.raises(RequestConflict):
        await desk.verifier.verify(desk.call(request="same", code=desk.code(STEP + 1)))


async def test_after_a_restart_the_same_request_gives_the_same_answer(desk):
    call = desk.call("face", face=OWNER)
    first = (await desk.verifier.verify(call)).answer
    desk.restart()
    assert (await desk.verifier.verify(call)).answer == first
    assert await desk.reason("face", face=OWNER) == "presentation_replayed"


async def test_without_a_record_no_verdict_leaves_and_the_request_may_try_again(desk):
    broken = BrokenJournal(desk.journal)
    verifier, call = desk.build(broken), desk.call("face", face=OWNER)
    with pytest.raises(JournalError):
        await verifier.verify(call)
    broken.broken = False
    assert (await verifier.verify(call)).answer.reason == "ok"


class FullJournal(BrokenJournal):
    """Says beforehand that it can't."""

    def check(self) -> None:
        if self.broken:
            raise JournalFull("the disk is full")


async def test_without_room_for_a_record_nothing_is_spent(desk):
    full = FullJournal(desk.journal)
    verifier = desk.build(full)
    code = desk.code()
    with pytest.raises(JournalFull):
        await verifier.verify(desk.call("face", face=OWNER, code=code))
    full.broken = False
    # Another showing of the same code: it would be a replay if the first had spent it.
    again = await verifier.verify(desk.call("face", face=OWNER, code=code))
    assert again.answer.reason == "ok"


async def test_a_face_may_follow_its_code(desk):
    first = (await desk.verifier.verify(desk.call("face"))).answer
    assert (first.reason, first.next) == ("face_absent", "capture_face")
    call = desk.capture(first.verification_id, OWNER)
    answer = (await desk.verifier.capture(call)).answer
    assert (answer.reason, answer.verification_id) == ("ok", first.verification_id)
    assert (await desk.verifier.capture(call)).answer == answer
    with pytest.raises(VerificationClosed):
        await desk.verifier.capture(desk.capture(first.verification_id, OWNER))


async def test_a_verification_closes_after_its_tries(desk):
    desk.policy("face", capture_tries=2)
    first = (await desk.verifier.verify(desk.call("face"))).answer
    for _ in range(2):
        found = await desk.verifier.capture(desk.capture(first.verification_id, NOBODY))
        assert found.answer.reason == "face_absent"
    with pytest.raises(VerificationClosed):
        await desk.verifier.capture(desk.capture(first.verification_id, OWNER))


async def test_another_gate_knows_nothing_of_an_open_verification(desk):
    first = (await desk.verifier.verify(desk.call("face"))).answer
    with pytest.raises(VerificationUnknown):
        await desk.verifier.capture(desk.capture(first.verification_id, OWNER, OTHER_GATE))


async def test_a_credential_revoked_between_code_and_face_is_refused(desk):
    first = (await desk.verifier.verify(desk.call("face"))).answer
    desk.set_status(Status.REVOKED)
    found = await desk.verifier.capture(desk.capture(first.verification_id, OWNER))
    assert found.answer.reason == "credential_revoked"


async def test_a_scene_that_is_unknown_or_not_this_gates_has_no_verdict(desk):
    with pytest.raises(SceneUnknown):
        await desk.verifier.verify(desk.call("gone"))
    with pytest.raises(SceneForbidden):
        await desk.verifier.verify(desk.call("face", gate=OTHER_GATE))


async def test_a_face_that_is_no_image_is_an_error_before_the_code_is_spent(desk):
    call = msgspec.structs.replace(desk.call("face"), face_images=(b"not an image",))
    with pytest.raises(ImageError):
        await desk.verifier.verify(call)
    assert await desk.reason("face", face=OWNER) == "ok"


async def test_work_that_cannot_begin_in_time_is_not_begun(desk):
    with pytest.raises(DeadlineMissed):
        await desk.verifier.verify(
            desk.call("face", face=OWNER, deadline_s=time.monotonic() - 1))


async def test_a_full_queue_says_so_at_once(desk):
    async def slow():
        await desk.face_pool.run(time.monotonic() + 9, lambda: time.sleep(0.2))

    tasks = [asyncio.create_task(slow()) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(CapacityError):
        await desk.verifier.verify(desk.call("face", face=OWNER))
    await asyncio.gather(*tasks)
