"""The default pack on real faces, its kernels beside their twins, and what is no face."""

import shutil

import cv2
import numpy as np
import pytest
import simplejpeg

from edge.errors import ImageError, PackError
from edge.hotpath.holder import Probe, ProbeFault, compare_templates
from edge.models.convert import SHA256, ensure_default_pack
from edge.models.dlib_stream import read_network
from edge.models.engine import FaceEngine, ReferenceDraft
from edge.models.kernels import (
    predict_shape,
    predict_shape_plain,
    suppress,
    suppress_plain,
)
from edge.models.landmarks import PARTS
from edge.models.manifest import load_manifest, verify_files
from kanhe.demo.frames import face_frame, faces_frame, phone_frame
from kanhe.demo.people import PEOPLE, load_portrait

THRESHOLD = 0.928


def jpeg(picture, quality=95) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality)


@pytest.fixture(scope="module")
def references(face_engine) -> dict[str, np.ndarray]:
    drafts = {p.key: face_engine.make_reference_template(jpeg(load_portrait(p))) for p in PEOPLE}
    assert all(isinstance(draft, ReferenceDraft) for draft in drafts.values())
    return {key: np.frombuffer(draft.template, np.int8) for key, draft in drafts.items()}


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: p.key)
def test_a_holder_matches_the_own_reference_and_no_other(face_engine, references, person):
    probe = face_engine.probe([face_frame(load_portrait(person), seed=11)])
    assert isinstance(probe, Probe)
    scores = {key: compare_templates(ref, probe.template) for key, ref in references.items()}
    assert scores.pop(person.key) > 0.97
    assert max(scores.values()) < THRESHOLD


@pytest.mark.parametrize("seed", range(28, 33))
def test_landmarks_start_right_wherever_the_face_is(face_engine, references, seed):
    probe = face_engine.probe([face_frame(load_portrait(PEOPLE[-1]), seed=seed)])
    assert compare_templates(references["lin"], probe.template) > 0.97


def test_captures_without_exactly_one_face_say_so(face_engine):
    two = faces_frame([load_portrait(p) for p in PEOPLE[1:3]], seed=4)
    assert face_engine.probe([two]).reason == "face_multiple"
    for picture in (phone_frame("KH1:AAAA", seed=1), jpeg(np.full((3, 3, 3), 90, np.uint8))):
        found = face_engine.probe([picture])
        assert isinstance(found, ProbeFault)
        assert found.reason == "face_absent"


@pytest.mark.parametrize("share,alone", [(0.35, True), (0.7, False)])
def test_only_a_much_smaller_second_face_is_a_bystander(face_engine, share, alone):
    large = cv2.resize(load_portrait(PEOPLE[1]), (600, 600), interpolation=cv2.INTER_CUBIC)
    side = round(600 * share)
    picture = np.full((720, 1280, 3), 128, np.uint8)
    picture[60:660, 30:630] = large
    picture[100 : 100 + side, 700 : 700 + side] = cv2.resize(load_portrait(PEOPLE[2]),
                                                             (side, side))
    found = face_engine.probe([jpeg(picture)])
    if alone:
        assert isinstance(found, Probe)
    else:
        assert found.reason == "face_multiple"


def test_a_burst_is_fused_and_must_be_of_one_person(face_engine, references):
    frames = [face_frame(load_portrait(PEOPLE[0]), seed=seed) for seed in (1, 2)]
    probe = face_engine.probe(frames)
    assert compare_templates(references["ma"], probe.template) > 0.97
    mixed = [frames[0], face_frame(load_portrait(PEOPLE[1]), seed=3)]
    assert face_engine.probe(mixed).reason == "face_multiple"


def test_a_blurred_face_is_of_low_quality_not_of_somebody(face_engine):
    blurred = cv2.GaussianBlur(load_portrait(PEOPLE[1]), (0, 0), 9)
    found = face_engine.probe([jpeg(blurred)])
    assert isinstance(found, ProbeFault)


@pytest.mark.parametrize("encode", [
    lambda rgb: cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))[1].tobytes(),
    lambda rgb: cv2.imencode(".png", rgb[..., ::-1].astype(np.uint16) * 257)[1].tobytes(),
    lambda rgb: cv2.imencode(".webp", rgb[..., ::-1])[1].tobytes(),
    lambda rgb: cv2.imencode(".png", np.dstack([rgb[..., ::-1], rgb[..., 0]]))[1].tobytes(),
], ids=["grey", "16-bit", "webp", "alpha"])
def test_every_encoding_of_a_face_is_read(face_engine, references, encode):
    probe = face_engine.probe([encode(load_portrait(PEOPLE[1]))])
    assert isinstance(probe, Probe)
    assert compare_templates(references["shi"], probe.template) > THRESHOLD


@pytest.mark.parametrize("data", [b"", b"GIF89a", jpeg(np.zeros((64, 64, 3), np.uint8))[:200]])
def test_what_is_no_image_is_an_error(face_engine, data):
    with pytest.raises(ImageError):
        face_engine.probe([data])


def test_the_shape_kernel_agrees_with_its_twin(face_pack_dir):
    with np.load(face_pack_dir / "landmarks.npz") as file:
        arrays = [file[part] for part in PARTS]
    rgb = load_portrait(PEOPLE[1])
    fast = predict_shape(rgb, 60.0, 60.0, 190.0, 190.0, *arrays)
    assert np.abs(fast - predict_shape_plain(rgb, 60.0, 60.0, 190.0, 190.0, *arrays)).max() < 0.01


@pytest.mark.parametrize("seed", range(20))
def test_the_suppression_kernel_agrees_with_its_twin(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 200, (40, 2))
    boxes = np.hstack([corner, corner + rng.uniform(20, 120, (40, 2))]).astype(np.float32)
    assert suppress(boxes, 0.34).tolist() == suppress_plain(boxes, 0.34).tolist()


def test_a_damaged_pack_names_the_file_and_the_mend(face_pack_dir, tmp_path):
    copy = tmp_path / "pack"
    shutil.copytree(face_pack_dir, copy)
    path = copy / "detector.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PackError, match=r"detector\.onnx is damaged.*remove the folder"):
        FaceEngine(copy)
    (copy / "manifest.json").write_text("{}")
    with pytest.raises(PackError, match=r"of format 0.*remove the folder"):
        FaceEngine(copy)


def test_the_pack_says_its_licence_and_its_weakness(face_pack_dir):
    manifest = load_manifest(face_pack_dir)
    verify_files(face_pack_dir, manifest)
    assert "public domain" in manifest.licence.title
    assert "East Asian" in manifest.notes.en
    assert manifest.operating_point(1e-3).threshold == THRESHOLD
    assert manifest.operating_point(1e-6) is None


def test_a_pack_that_is_there_is_not_made_again(face_pack_dir):
    before = (face_pack_dir / "manifest.json").stat().st_mtime_ns
    assert ensure_default_pack(face_pack_dir.parent) == face_pack_dir
    assert (face_pack_dir / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("data", [b"", b"\x01\x01", b"\x01\x01\x01\x0dloss_metric_2", b"\xff" * 99])
def test_weights_that_are_not_the_known_ones_are_refused(data):
    with pytest.raises(PackError):
        read_network(data, "weights.dat")


def test_the_68_point_file_is_never_read():
    assert not any("68" in name for name in SHA256)
