"""One identification: who is found, who isn't, and that a code is always another way."""

import asyncio
import time

import msgspec
import numpy as np
import pytest

from edge.cache.gallery.gallery import Gallery
from edge.errors import JournalError
from edge.hotpath.holder import IDENTIFICATION
from edge.hotpath.rates import identification_fmr
from edge.hotpath.reasons import REASONS, Reason
from edge.imaging import DEFAULT_LIMITS
from edge.pipeline.calls import (
    DeadlineMissed,
    IdentificationCall,
    RequestConflict,
    SceneForbidden,
    SceneUnknown,
)
from edge.pipeline.identify import Identifier
from edge.protocol.feed import DropCredential, DropReference, PutCredential, PutReference
from edge.protocol.records import ReferenceRecord, Status
from tests.fakes.ports import PACK, BrokenJournal, template_of
from tests.pipeline.desk import (
    BLURRED,
    CREDENTIAL,
    GATE,
    HOLDER,
    MANY,
    NOBODY,
    NOW,
    OTHER_GATE,
    OWNER,
    STRANGER,
    Desk,
    picture_of,
)

BYSTANDER = 40


def reference(name: int, holder_id: bytes = HOLDER, **differently) -> PutReference:
    record = ReferenceRecord(holder_id=holder_id, pack=PACK, created_s=0, purpose=IDENTIFICATION,
                             template=template_of(name).tobytes())
    return PutReference(msgspec.structs.replace(record, **differently))


class Hall:
    """A desk where faces are looked for: its owner among thirty bystanders."""

    def __init__(self, folder) -> None:
        self.desk = Desk(folder)
        self.gallery = Gallery(
            folder / "gallery", PACK, 128, self.desk.key.derive, boot_id=b"boot", threads=1,
            rows_max=4_096)
        self.desk.store.add_sink(self.gallery, IDENTIFICATION)
        self.asked: list[float] = []
        self.strict = True
        self.desk.put(reference(OWNER), *(
            reference(BYSTANDER + n, bytes([100 + n] * 16)) for n in range(30)))
        self.desk.policy("face", identification="allowed")
        self.identifier = self.build(self.desk.journal)

    def build(self, journal) -> Identifier:
        desk = self.desk
        return Identifier(
            trust=lambda: desk.trust, clock=desk.clock, cache=desk.store, guard=desk.guard,
            journal=journal, face=desk.face, gallery=self.gallery, point=self.point,
            face_pool=desk.face_pool, observer=desk.seen,
            new_id=lambda: f"{next(desk.ids):032x}", image_limits=DEFAULT_LIMITS,
            answers=desk.verifier.answers)

    def point(self, policy, fmr: float) -> tuple[float, float] | None:
        self.asked.append(fmr)
        if self.strict or policy.pack_override:
            return 0.9, fmr
        return None

    def call(self, face: int = OWNER, scene: str = "face", request: str = "", gate=GATE,
             deadline_s: float | None = None) -> IdentificationCall:
        return IdentificationCall(
            gate=gate, scene=scene, request_id=request or f"r{next(self.desk.requests)}",
            face_images=(picture_of(face),),
            deadline_s=time.monotonic() + 5 if deadline_s is None else deadline_s)

    async def answer(self, *args, **kwargs):
        return (await self.identifier.identify(self.call(*args, **kwargs))).answer


@pytest.fixture
def hall(tmp_path):
    hall = Hall(tmp_path)
    yield hall
    hall.gallery.close()
    hall.desk.close()


async def test_a_known_face_is_found_and_its_credential_disclosed(hall):
    answer = await hall.answer()
    assert (answer.decision, answer.reason, answer.next, answer.otherwise) == (
        "accept", "ok", None, msgspec.UNSET)
    assert answer.disclosed == {"name": "马**"}
    assert answer.credential.type == "resident_id"
    assert answer.face.gallery == 31
    assert answer.face.margin > 0.3
    record = hall.desk.seen.records[-1]
    assert (record.kind, record.credential_id, record.suite) == (
        "identification", CREDENTIAL, None)


FAULTS = {
    Reason.FACE_ABSENT: lambda h: NOBODY,
    Reason.FACE_MULTIPLE: lambda h: MANY,
    Reason.FACE_QUALITY_LOW: lambda h: BLURRED,
    Reason.CLOCK_UNTRUSTED: lambda h: setattr(h.desk.clock, "state", "untrusted") or OWNER,
    Reason.PACK_UNFIT: lambda h: setattr(h, "strict", False) or OWNER,
    Reason.ATTACK_DETECTED: lambda h: setattr(h.desk.face, "checks", {"passive": False}) or OWNER,
    Reason.NOBODY: lambda h: STRANGER,
    Reason.CREDENTIAL_UNKNOWN: lambda h: h.desk.put(DropCredential(CREDENTIAL)) or OWNER,
    Reason.CREDENTIAL_SUSPENDED: lambda h: h.desk.set_status(Status.SUSPENDED) or OWNER,
    Reason.CREDENTIAL_REVOKED: lambda h: h.desk.set_status(Status.REVOKED) or OWNER,
    Reason.CREDENTIAL_EXPIRED: lambda h: h.desk.put(
        PutCredential(h.desk.credential(valid_until_s=int(NOW)))) or OWNER,
    Reason.CREDENTIAL_NOT_ACCEPTED_HERE: lambda h: h.desk.policy(
        "face", accepts=("driving_licence",)) or OWNER,
    Reason.TRUST_STALE: lambda h: h.desk.policy("face", trust_age_max_s=4) or OWNER,
}


@pytest.mark.parametrize("reason", FAULTS)
async def test_each_reason_has_its_decision_and_another_way(hall, reason):
    answer = await hall.answer(FAULTS[reason](hall))
    assert answer.reason == reason
    assert answer.decision == REASONS[reason].decision
    assert answer.otherwise == "show_code"
    assert answer.next == ("capture_face" if answer.decision == "retry" else "show_code")
    assert answer.disclosed is None
    assert hall.desk.seen.records[-1].kind == "identification"


async def test_nothing_is_said_of_anyones_credential_where_nobody_was_found(hall):
    answer = await hall.answer(STRANGER)
    assert answer.credential is None
    assert hall.desk.seen.records[-1].credential_id is None
    assert answer.face.score < answer.face.threshold


async def test_a_second_too_near_makes_the_best_nobody(hall):
    twin = template_of(OWNER).astype(int)
    twin[:3] = 0
    near = reference(OWNER, bytes([77] * 16), template=twin.astype(np.int8).tobytes())
    hall.desk.put(near)
    hall.desk.policy("face", identification_margin=0.05)
    answer = await hall.answer()
    assert (answer.reason, answer.disclosed) == ("nobody", None)
    assert answer.face.score > answer.face.threshold
    assert 0 <= answer.face.margin < 0.05
    hall.desk.policy("face", identification_margin=0.0)
    assert (await hall.answer()).reason == "ok"


async def test_the_threshold_follows_the_size_of_the_gallery(hall):
    await hall.answer()
    assert hall.asked == [pytest.approx(identification_fmr(0.01, 31))]
    hall.desk.policy("face", fpir_max=0.1)
    hall.desk.put(DropReference(bytes([100] * 16), PACK))
    await hall.answer()
    assert hall.asked[1] == pytest.approx(identification_fmr(0.1, 30))


async def test_a_policy_may_override_an_unfit_pack_in_words(hall):
    hall.strict = False
    hall.desk.policy("face", pack_override="trial until June")
    assert (await hall.answer()).reason == "ok"


@pytest.mark.parametrize("differently", [
    {"purpose": "verification"}, {"expires_s": int(NOW)}, {"pack": "another"}])
async def test_a_reference_not_given_for_this_finds_nobody(hall, differently):
    hall.desk.put(DropReference(HOLDER, PACK), reference(OWNER, **differently))
    assert (await hall.answer()).reason == "nobody"


async def test_references_older_than_the_policy_bears_find_nobody(hall):
    hall.desk.policy("face", reference_age_max_days=100)
    assert (await hall.answer()).reason == "nobody"


async def test_who_alters_the_gallerys_file_names_nobody(hall):
    file = hall.gallery._file
    slots = {bytes(hall.gallery._hider.reveal(ids.tobytes())): slot
             for slot, ids in enumerate(file.ids[:31])}
    mine, theirs = slots[HOLDER], slots[bytes([100] * 16)]
    with hall.gallery._lock:
        for column in (file.rows, file.inverses,
                       *(column for bank in file.banks for column in (bank.factors, bank.bases))):
            column[[mine, theirs]] = column[[theirs, mine]]
        for bank in file.banks:
            bank.codes[:, [mine, theirs]] = bank.codes[:, [theirs, mine]]
    for face in (OWNER, BYSTANDER):
        assert (await hall.answer(face)).reason == "nobody"


async def test_the_credential_is_of_a_type_that_stands_in_the_policys_order(hall):
    licence = hall.desk.credential(credential_id=bytes([8] * 16), type="driving_licence")
    hall.desk.put(PutCredential(licence))
    hall.desk.policy("face", accepts=("driving_licence", "resident_id"))
    assert (await hall.answer()).credential.type == "driving_licence"
    hall.desk.put(PutCredential(msgspec.structs.replace(licence, valid_until_s=int(NOW))))
    assert (await hall.answer()).credential.type == "resident_id"


async def test_only_scenes_that_allow_it_look_for_faces(hall):
    hall.desk.policy("face", identification="off")
    with pytest.raises(SceneForbidden, match="code instead"):
        await hall.answer()
    with pytest.raises(SceneForbidden):
        await hall.answer(scene="code")
    with pytest.raises(SceneForbidden):
        await hall.answer(gate=OTHER_GATE)
    with pytest.raises(SceneUnknown):
        await hall.answer(scene="gone")
    assert hall.desk.journal.size == 0


async def test_the_same_request_gives_the_same_answer_and_another_content_is_a_conflict(hall):
    call = hall.call(request="same")
    first = await asyncio.gather(*(hall.identifier.identify(call) for _ in range(4)))
    assert len({outcome.answer.receipt.index for outcome in first}) == 1
    assert hall.desk.journal.size == 1
    with pytest.raises(RequestConflict):
        await hall.answer(STRANGER, request="same")


@pytest.mark.parametrize("face", [OWNER, STRANGER])
async def test_after_a_restart_the_same_request_gives_the_same_answer(hall, face):
    call = hall.call(face)
    first = (await hall.identifier.identify(call)).answer
    hall.desk.restart()
    hall.desk.policy("face", identification="allowed")
    assert (await hall.build(hall.desk.journal).identify(call)).answer == first


async def test_without_a_record_no_answer_leaves(hall):
    broken = BrokenJournal(hall.desk.journal)
    identifier = hall.build(broken)
    call = hall.call()
    with pytest.raises(JournalError):
        await identifier.identify(call)
    broken.broken = False
    assert (await identifier.identify(call)).answer.reason == "ok"


async def test_nobody_is_looked_for_while_nothing_can_be_recorded(hall, monkeypatch):
    broken = BrokenJournal(hall.desk.journal)

    def check() -> None:
        raise JournalError("the disk is full")

    monkeypatch.setattr(broken, "check", check)
    searches = hall.gallery.searches
    with pytest.raises(JournalError, match="the disk is full"):
        await hall.build(broken).identify(hall.call())
    assert hall.gallery.searches == searches
    assert hall.desk.seen.records == []


async def test_every_stage_has_its_own_time(hall, monkeypatch):
    append = hall.desk.journal.append

    async def slowly(record):
        await asyncio.sleep(0.05)
        return await append(record)

    monkeypatch.setattr(hall.desk.journal, "append", slowly)
    found = await hall.identifier.identify(hall.call())
    assert list(found.timings_ms) == ["face", "cache", "journal"]
    assert found.timings_ms["journal"] >= 50.0
    hall.desk.clock.state = "untrusted"
    found = await hall.identifier.identify(hall.call())
    assert list(found.timings_ms) == ["journal"]
    assert 50.0 <= found.timings_ms["journal"] < 5_000.0


async def test_past_its_deadline_nothing_is_begun(hall):
    with pytest.raises(DeadlineMissed):
        await hall.answer(deadline_s=time.monotonic() - 1)
