"""A person's decision: once, by the same gate, never against what is known."""

import msgspec
import pytest

from edge.hotpath.reasons import Reason
from edge.pipeline.calls import DecisionCall, VerificationClosed, VerificationUnknown
from edge.pipeline.decisions import DECISION_OPEN_S, Decider
from edge.protocol.journal import decode_record
from edge.protocol.records import Status
from tests.pipeline.desk import GATE, Desk


class Counter:
    """A desk with somebody who decides; takes note of answers as the node does."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.decider = Decider(
            trust=lambda: desk.trust, clock=desk.clock, cache=desk.store,
            journal=desk.journal, observer=desk.seen, answers=desk.verifier.answers,
            captures=desk.verifier.open)

    async def verify(self, scene: str = "face", **kwargs):
        outcome = await self.desk.verifier.verify(self.desk.call(scene, **kwargs))
        for _, data in list(self.desk.journal.recent(0))[-1:]:
            self.decider.open.offer(decode_record(data))
        return outcome.answer

    async def decide(self, verification_id, *, accept=True, gate=GATE, request="d1", actor="yun"):
        return (await self.decider.decide(DecisionCall(
            gate=gate, verification_id=verification_id, request_id=request, accept=accept,
            note="papers seen", actor=actor))).answer


@pytest.fixture
def counter(tmp_path):
    desk = Desk(tmp_path)
    yield Counter(desk)
    desk.close()


async def test_whoever_shows_no_face_is_accepted_by_a_person_with_name_and_reason(counter):
    first = await counter.verify()
    assert first.reason == Reason.FACE_ABSENT
    answer = await counter.decide(first.verification_id)
    assert (answer.decision, answer.reason) == ("accept", "operator_accepted")
    assert answer.disclosed == {"name": "马**"}
    record = decode_record(list(counter.desk.journal.recent(0))[-1][1])
    assert (record.kind, record.actor, record.note) == ("decision", "yun", "papers seen")


async def test_the_same_decision_request_gives_the_same_answer_and_another_is_closed(counter):
    first = await counter.verify()
    answer = await counter.decide(first.verification_id, accept=False)
    assert (answer.decision, answer.disclosed) == ("reject", None)
    assert await counter.decide(first.verification_id, accept=False) == answer
    with pytest.raises(VerificationClosed):
        await counter.decide(first.verification_id, request="d2")


async def test_another_gate_and_an_accepted_verification_are_not_open(counter):
    first = await counter.verify()
    other = msgspec.structs.replace(GATE, gate_id="g9")
    with pytest.raises(VerificationUnknown):
        await counter.decide(first.verification_id, gate=other)
    with pytest.raises(VerificationUnknown):
        await counter.decide("0" * 32)
    counter.desk.clock.now += 5
    later = counter.desk.code(int(counter.desk.clock.now // 5))
    accepted = await counter.verify("code", code=later)
    assert accepted.decision == "accept"
    with pytest.raises(VerificationUnknown):
        await counter.decide(accepted.verification_id, request="d3")


@pytest.mark.parametrize(
    "late_s,closed", [(DECISION_OPEN_S - 1, False), (DECISION_OPEN_S + 1, True)])
async def test_a_decision_is_open_for_its_time(counter, late_s, closed):
    first = await counter.verify()
    counter.desk.clock.now += late_s
    if closed:
        with pytest.raises(VerificationClosed):
            await counter.decide(first.verification_id)
    else:
        assert (await counter.decide(first.verification_id)).decision == "accept"


async def test_nobody_outvotes_a_revocation(counter):
    first = await counter.verify()
    counter.desk.set_status(Status.REVOKED)
    answer = await counter.decide(first.verification_id)
    assert (answer.decision, answer.reason) == ("reject", "credential_revoked")


async def test_a_decided_verification_takes_no_capture(counter):
    first = await counter.verify()
    await counter.decide(first.verification_id, accept=False)
    with pytest.raises(VerificationClosed):
        await counter.desk.verifier.capture(counter.desk.capture(first.verification_id, 5))
