"""Captures and references that can't serve, beside a genuine code: a clear reason, no accept.

The whole way from the call to the answer, with the default pack.
"""

import io

import cv2
import numpy as np
import pytest

from edge.cache.references import Protector
from edge.hotpath.renewal import DIMENSIONS_MAX
from edge.models.engine import ReferenceDraft
from edge.protocol.feed import DropReference, PutReference
from edge.protocol.records import ReferenceRecord
from edge.sync.content import check_changes
from edge.sync.envelope import Refusal
from kanhe.demo.frames import faces_frame, phone_frame
from kanhe.demo.people import PEOPLE, load_portrait
from tests.attacks.test_picture_of_the_holder import shown
from tests.models.bursts import jpeg
from tests.models.test_quality import exif
from tests.pipeline.desk import HOLDER, Desk

OWNER, STRANGER = PEOPLE[1], PEOPLE[2]


def png(bgr) -> bytes:
    return cv2.imencode(".png", bgr)[1].tobytes()


def cmyk(rgb) -> bytes:
    image = pytest.importorskip("PIL.Image")
    data = io.BytesIO()
    image.fromarray(rgb).convert("CMYK").save(data, "JPEG", quality=92)
    return data.getvalue()


def forty() -> bytes:
    tile = [cv2.resize(load_portrait(PEOPLE[n % len(PEOPLE)]), (160, 170)) for n in range(40)]
    return jpeg(np.vstack([np.hstack(tile[row * 8 : row * 8 + 8]) for row in range(5)]))


ENCODINGS = {
    "greyscale": lambda rgb: cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))[1].tobytes(),
    "grey-png": lambda rgb: png(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)),
    "cmyk": cmyk,
    "16-bit": lambda rgb: png(rgb[..., ::-1].astype(np.uint16) * 257),
    "rotated": lambda rgb: exif(jpeg(np.rot90(rgb, 1)), 6),
    "mirrored": lambda rgb: exif(jpeg(rgb[:, ::-1]), 2),
}
NOT_ONE_FACE = {
    "no face": (lambda: phone_frame("KH1:AAAA", seed=1), {"face_absent"}),
    "black": (lambda: jpeg(np.zeros((480, 640, 3), np.uint8)), {"face_absent"}),
    "three pixels": (lambda: jpeg(np.full((1, 3, 3), 90, np.uint8)), {"face_absent"}),
    "three pixels, 16 bits": (lambda: png(np.full((3, 1), 40_000, np.uint16)), {"face_absent"}),
    "two faces": (lambda: faces_frame([load_portrait(OWNER), load_portrait(STRANGER)], seed=3),
                  {"face_multiple"}),
    "forty faces": (forty, {"face_multiple"}),
    "cut off": (lambda: jpeg(load_portrait(OWNER)[: int(load_portrait(OWNER).shape[0] * 0.6)]),
                {"face_quality_low", "face_absent"}),
    "half a face": (lambda: jpeg(load_portrait(OWNER)[:, : load_portrait(OWNER).shape[1] // 2]),
                    {"face_quality_low", "face_absent"}),
    "blurred": (lambda: jpeg(cv2.GaussianBlur(load_portrait(OWNER), (0, 0), 9)),
                {"face_quality_low", "face_absent"}),
    "cut file": (lambda: jpeg(load_portrait(OWNER))[:3_000], {"face_absent"}),
}


@pytest.fixture(scope="module")
def template(face_engine):
    draft = face_engine.make_reference_template(jpeg(load_portrait(OWNER)))
    assert isinstance(draft, ReferenceDraft)
    return draft.template


@pytest.fixture
def desk(tmp_path, face_engine, template):
    desk = Desk(tmp_path)
    desk.face = face_engine
    desk.verifier = desk.build(desk.journal)
    enrol(desk, face_engine.pack_id, template)
    yield desk
    desk.close()


def enrol(desk, pack, template) -> None:
    desk.put(PutReference(ReferenceRecord(holder_id=HOLDER, pack=pack, created_s=0,
                                          template=template)))


@pytest.mark.parametrize("why", NOT_ONE_FACE)
async def test_what_is_not_one_good_face_is_asked_for_again(desk, why):
    make, reasons = NOT_ONE_FACE[why]
    answer = await shown(desk, [make()])
    assert answer.decision == "retry"
    assert answer.reason in reasons


@pytest.mark.parametrize("how", ENCODINGS)
async def test_however_a_picture_is_encoded_the_holder_passes_and_a_stranger_does_not(desk, how):
    answer = await shown(desk, [ENCODINGS[how](load_portrait(STRANGER))])
    assert answer.reason == "no_match"
    assert answer.decision in ("reject", "refer")
    desk.clock.now += 5
    own = [ENCODINGS[how](load_portrait(OWNER))]
    answer = await shown(desk, own, code=desk.code(int(desk.clock.now // 5)))
    assert answer.reason == "ok"


async def test_a_reference_of_another_pack_or_length_is_no_reference(desk, face_engine, template):
    for pack, row in (("another-pack", template), (face_engine.pack_id, template[:-1]),
                      (face_engine.pack_id, template + bytes(384))):
        desk.put(DropReference(HOLDER, face_engine.pack_id))
        enrol(desk, pack, row)
        desk.clock.now += 5
        answer = await shown(desk, [jpeg(load_portrait(OWNER))],
                             code=desk.code(int(desk.clock.now // 5)))
        assert (answer.decision, answer.reason) == ("refer", "reference_missing")


@pytest.mark.parametrize("row", [b"", bytes(DIMENSIONS_MAX + 1)])
def test_a_reference_without_values_or_with_too_many_never_gets_in(row):
    record = ReferenceRecord(holder_id=HOLDER, pack="p", created_s=0, template=row)
    with pytest.raises(Refusal, match="wrong length"):
        check_changes([PutReference(record)])


async def test_a_reference_out_of_another_sites_store_matches_nobody(desk, face_engine, template):
    record = ReferenceRecord(holder_id=HOLDER, pack=face_engine.pack_id, created_s=0,
                             template=template)
    elsewhere = Protector(desk.store.generation, bytes([5] * 32)).protected(record)
    enrol(desk, face_engine.pack_id, elsewhere.template)
    answer = await shown(desk, [jpeg(load_portrait(OWNER))])
    assert answer.reason == "no_match"
    assert answer.face.score < 0.5
