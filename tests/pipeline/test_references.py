"""References in a verification: renewed, too old, given for something else; on both stores."""

import msgspec
import pytest

from edge.hotpath.holder import Comparison, check_holder
from edge.protocol.feed import PutReference
from edge.protocol.journal import decode_record
from edge.protocol.records import ReferenceRecord
from tests.fakes.memory_store import MemoryStore
from tests.fakes.ports import PACK, template_of
from tests.pipeline.desk import FACE, HOLDER, NOW, OWNER, STEP, STRANGER, Desk

DAY_S = 86_400


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def given(**differently):
    return PutReference(msgspec.structs.replace(
        ReferenceRecord(holder_id=HOLDER, pack=PACK, created_s=int(NOW) - 40 * DAY_S,
                        template=template_of(OWNER).tobytes()), **differently))


def why(desk):
    return [decode_record(data) for _, data in desk.journal.recent(0)][-1].why


async def test_a_verification_is_the_same_before_and_after_a_renewal(desk):
    scores = []
    for n in range(3):
        owner = (await desk.verifier.verify(
            desk.call("face", face=OWNER, code=desk.code(STEP + n - 1)))).answer
        assert owner.decision == "accept"
        scores.append(owner.face.score)
        desk.store.renew_references(lambda *_: None)
    assert max(scores) - min(scores) <= 0.002
    assert desk.store.generation == 4


async def test_a_stranger_stays_a_stranger_after_a_renewal(desk):
    desk.store.renew_references(lambda *_: None)
    assert await desk.reason("face", face=STRANGER) == "no_match"


async def test_a_reference_older_than_the_policy_bears_is_referred_and_said(desk):
    desk.put(given())
    desk.policy("face", reference_age_max_days=40)
    answer = (await desk.verifier.verify(desk.call("face", face=OWNER))).answer
    assert (answer.decision, answer.reason) == ("refer", "reference_missing")
    assert "too old" in answer.message.en
    assert why(desk) == "expired"


async def test_a_reference_for_something_else_is_not_used(desk):
    desk.put(given(purpose="research"))
    answer = (await desk.verifier.verify(desk.call("face", face=OWNER))).answer
    assert (answer.reason, answer.face) == ("reference_missing", None)
    assert "agreed" in answer.message.en
    assert why(desk) == "purpose"


async def test_the_memory_store_judges_as_the_real_one(desk):
    memory = MemoryStore()
    memory.apply([given()], 1, {})
    desk.put(given())
    for face in (OWNER, STRANGER):
        probe = desk.face.probe([bytes([face])])
        scores = []
        for store in (memory, desk.store):
            held = store.reference(HOLDER, PACK)
            shown = store.protect_probe(probe, held)
            assert (store.protect(probe.template, PACK, held.generation)
                    == shown.template).all()
            scores.append(_score(held, shown))
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def _score(held, probe):
    _, evidence = check_holder(held, probe, Comparison(threshold=0.9, fmr=1e-3), FACE, now=NOW)
    return evidence.score
