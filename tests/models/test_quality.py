"""Each fault of a capture is told by its own word, and enrolment is stricter."""

import io

import cv2
import numpy as np
import pytest
import simplejpeg

from edge.hotpath.holder import Probe, ProbeFault
from edge.hotpath.reasons import Reason
from edge.hotpath.words import FACE_WORDS, message_for
from edge.models.kernels import measure_light, measure_light_plain
from edge.models.quality import CAPTURE_FLOORS, ENROLMENT_FLOORS, Floors, first_below, judge_view
from kanhe.demo.frames import faces_frame
from kanhe.demo.people import PEOPLE, load_portrait

GREY = np.full((150, 150, 3), 128, np.uint8)
GOOD = np.random.default_rng(3).integers(60, 200, (150, 150, 3), dtype=np.uint8)
SMOOTH = np.ascontiguousarray(np.broadcast_to(
    np.linspace(60, 200, 150).astype(np.uint8)[None, :, None], GOOD.shape))
POINTS = np.array([[380, 200], [340, 202], [260, 200], [300, 202], [320, 270]], np.float32)


def jpeg(picture, quality=92) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality)


def portrait(person=1, side=480):
    picture = load_portrait(PEOPLE[person])
    scale = side / picture.shape[0]
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def judged(chip=GOOD, points=POINTS, shape=(480, 640), mirror=0.99):
    return judge_view(chip, points, "dlib5", shape, mirror, (0.90, 0.98))


def nose_moved(x, y):
    return POINTS + np.array([[0, 0]] * 4 + [[x, y]], np.float32)


def turned(points, degrees):
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = points.mean(axis=0)
    return ((points - middle) @ matrix.T + middle).astype(np.float32)


@pytest.mark.parametrize("word,differently", [
    ("eye_distance", {"points": POINTS * 0.2}),
    ("margin", {"points": POINTS - [275, 0]}), ("margin", {"points": POINTS - [0, 186]}),
    ("margin", {"shape": (304, 640)}), ("margin", {"shape": (480, 367)}),
    ("under_exposure", {"chip": GOOD // 16}),
    ("over_exposure", {"chip": 255 - (255 - GOOD) // 16}),
    ("contrast", {"chip": 120 + GOOD // 50}), ("sharpness", {"chip": SMOOTH}),
    ("yaw", {"points": nose_moved(70, 0)}), ("pitch", {"points": nose_moved(0, -68)}),
    ("roll", {"points": turned(POINTS, 50)}), ("mirror", {"mirror": 0.91}),
])
def test_each_fault_has_its_word(word, differently):
    assert first_below(judged(), ENROLMENT_FLOORS) == ""
    found = judged(**differently)
    assert first_below(found, CAPTURE_FLOORS) == word
    assert all(0.0 <= value <= 1.0 for value in found.values())


def test_enrolment_is_stricter_in_everything_and_every_component_has_words():
    for name in Floors.__struct_fields__:
        assert getattr(ENROLMENT_FLOORS, name) > getattr(CAPTURE_FLOORS, name)
        words = message_for(Reason.FACE_QUALITY_LOW, name)
        assert words == FACE_WORDS[name]
        assert words.zh and words.en
    assert set(judged()) == set(Floors.__struct_fields__)


@pytest.mark.parametrize("size", [(112, 112), (40, 65), (2, 2)])
def test_the_light_kernel_agrees_with_its_twin(size):
    grey = np.random.default_rng(4).integers(0, 256, size, np.uint8)
    grey[: size[0] // 2] //= 40
    found, plain = (measure(grey, 8, 250) for measure in (measure_light, measure_light_plain))
    assert np.allclose(found, plain, rtol=1e-9)
    edges = cv2.Laplacian(grey, cv2.CV_16S)
    assert np.isclose(found[4], edges.astype(float).var())


def test_a_component_that_is_no_number_is_below_every_floor():
    found = judged(points=np.full((5, 2), np.nan, np.float32), mirror=float("nan"))
    assert first_below(found, CAPTURE_FLOORS)


@pytest.mark.parametrize("why,spoil", [
    ("under_exposure", lambda p: p // 9), ("over_exposure", lambda p: 255 - (255 - p) // 12),
    ("eye_distance", lambda p: cv2.resize(p, None, fx=0.16, fy=0.16,
                                          interpolation=cv2.INTER_AREA)),
])
def test_a_spoiled_capture_says_what_to_do(face_engine, why, spoil):
    found = face_engine.probe([jpeg(spoil(portrait()))])
    assert isinstance(found, ProbeFault)
    # So small or dark a face may not be found at all; what is wrong with the light is said then.
    unseen = "unseen" if why == "eye_distance" else why
    assert (found.reason, found.why) in {("face_quality_low", why), ("face_absent", unseen)}


@pytest.mark.parametrize("why,spoil", [
    ("under_exposure", lambda p: p // 30), ("over_exposure", lambda p: 255 - p // 40),
    ("contrast", lambda p: 120 + p // 60), ("unseen", lambda p: p[:60]),
    ("unseen", lambda p: cv2.resize(p, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)),
])
def test_where_the_light_hides_every_face_the_operator_hears_of_the_light(face_engine, why, spoil):
    found = face_engine.probe([jpeg(spoil(portrait()))])
    assert (found.reason, found.why) == ("face_absent", why)
    assert message_for(found.reason, found.why).en.startswith(
        {"under_exposure": "It is too dark", "over_exposure": "It is too bright",
         "contrast": "The picture is washed out", "unseen": "No face is seen: come closer"}[why])


@pytest.mark.parametrize("turns", [1, -1])
@pytest.mark.parametrize("person", range(len(PEOPLE)))
def test_a_picture_on_its_side_is_said_to_be_and_rejects_nobody(face_engine, person, turns):
    upright = portrait(person)
    assert isinstance(face_engine.probe([jpeg(upright)]), Probe)
    found = face_engine.probe([jpeg(np.rot90(upright, turns))])
    assert isinstance(found, ProbeFault)
    assert found.why in {"on_its_side", "unseen", "roll"}


def test_a_camera_that_lies_is_told_so_in_words(face_engine):
    found = [face_engine.probe([jpeg(np.rot90(portrait(person)))]) for person in range(len(PEOPLE))]
    told = next(fault for fault in found if fault.why == "on_its_side")
    assert told.reason is Reason.FACE_QUALITY_LOW
    assert "turn the camera" in message_for(told.reason, told.why).en
    assert face_engine.make_reference_template(jpeg(np.rot90(portrait()))) == told


@pytest.mark.parametrize("spoil", [
    lambda p: cv2.warpAffine(p, cv2.getRotationMatrix2D((p.shape[1] / 2, p.shape[0] / 2), 35, 1.0),
                             p.shape[1::-1], borderMode=cv2.BORDER_REPLICATE),
    lambda p: cv2.GaussianBlur(p, (0, 0), 3.0), lambda p: p // 4,
    lambda p: np.where(np.arange(len(p))[:, None, None] > 0.55 * len(p), np.uint8(128), p),
], ids=["tilted", "blurred", "dark", "masked"])
def test_a_poor_picture_that_is_upright_is_not_said_to_lie(face_engine, spoil):
    for person in range(len(PEOPLE)):
        found = face_engine.probe([jpeg(spoil(portrait(person)))])
        assert isinstance(found, Probe) or found.why != "on_its_side"


def test_a_face_cut_off_at_the_edge_says_so(face_engine):
    picture = portrait()
    found = [face_engine.probe([jpeg(picture[: int(picture.shape[0] * share)])])
             for share in (0.75, 0.7, 0.65, 0.6)]
    faults = [item for item in found if isinstance(item, ProbeFault)]
    assert any(fault.why == "margin" for fault in faults)
    assert {fault.reason for fault in faults} <= {"face_quality_low", "face_absent"}


def test_forty_faces_are_several(face_engine):
    people = [load_portrait(PEOPLE[index % len(PEOPLE)]) for index in range(40)]
    tile = [cv2.resize(person, (160, 170)) for person in people]
    picture = np.vstack([np.hstack(tile[row * 8 : row * 8 + 8]) for row in range(5)])
    assert face_engine.probe([jpeg(picture)]).reason == "face_multiple"
    assert face_engine.probe([faces_frame([people[0], people[1]], seed=3)]).reason == (
        "face_multiple")


def exif(jpeg_bytes: bytes, orientation: int) -> bytes:
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation]) + bytes(7)
    body = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    return jpeg_bytes[:2] + segment + jpeg_bytes[2:]


@pytest.mark.parametrize("orientation,turns", [(3, 2), (6, 1), (8, 3)])
def test_a_picture_lying_on_its_side_is_read_as_its_exif_says(face_engine, orientation, turns):
    upright = face_engine.probe([jpeg(portrait())])
    lying = face_engine.probe([exif(jpeg(np.rot90(portrait(), turns)), orientation)])
    assert isinstance(lying, Probe)
    a, b = (item.template.astype(float) for item in (upright, lying))
    assert a @ b / np.sqrt((a @ a) * (b @ b)) > 0.99


def test_a_print_in_cmyk_is_read_like_any_other(face_engine):
    image = pytest.importorskip("PIL.Image")
    data = io.BytesIO()
    image.fromarray(portrait()).convert("CMYK").save(data, "JPEG", quality=92)
    probe = face_engine.probe([data.getvalue()])
    assert isinstance(probe, Probe)


def test_a_picture_of_three_pixels_has_no_face(face_engine):
    assert face_engine.probe([jpeg(np.full((1, 3, 3), 90, np.uint8))]).reason == "face_absent"
