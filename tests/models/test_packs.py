"""Packs of every form: whole ones answer, and what isn't whole says why and never accepts."""

import cv2
import msgspec
import numpy as np
import pytest
import simplejpeg

from edge.errors import PackError
from edge.hotpath.holder import Probe, ProbeFault, compare_templates
from edge.models.assemble import DETECTORS, EMBEDDERS, LANDMARKS
from edge.models.convert import ensure_default_pack
from edge.models.embedder import ArcfaceEmbedder
from edge.models.engine import FaceEngine, ReferenceDraft
from edge.models.forms import FORMS, check_manifest
from edge.models.manifest import (
    MANIFEST,
    OperatingPoint,
    Parameters,
    is_current,
    load_manifest,
)
from edge.models.shelf import find_pack
from edge.models.view import FrameView
from kanhe.demo.frames import face_frame, faces_frame
from kanhe.demo.people import PEOPLE, load_portrait
from tests.fakes import onnx_forms
from tests.models.packs import DLIB_BOX, YUNET, copied, file_of, write_manifest

needs_yunet = pytest.mark.skipif(not YUNET.is_file(), reason="the YuNet file isn't at hand")


def toy(folder, *, embedder=None, detector=None, **said):
    """Make a pack whose face is a white square."""
    det = detector or onnx_forms.scrfd(folder / "det.onnx")
    emb = embedder or onnx_forms.arcface(folder / "emb.onnx")
    return write_manifest(folder, [file_of(det, "detector", "scrfd"),
                                   file_of(emb, "embedder", "arcface-112")], **said)


def edit(folder, **changes):
    path = folder / MANIFEST
    data = msgspec.json.decode(path.read_bytes())
    for name, value in changes.items():
        if value is None:
            del data[name]
        else:
            data[name] = value
    path.write_bytes(msgspec.json.encode(data))


def edit_file(folder, index, **changes):
    files = msgspec.json.decode((folder / MANIFEST).read_bytes())["files"]
    files[index] |= changes
    edit(folder, files=files)


def white_square(left=200, top=100):
    picture = np.random.default_rng(5).integers(60, 120, (384, 640, 3), dtype=np.uint8)
    picture[top : top + 64, left : left + 64] = 255
    return simplejpeg.encode_jpeg(picture, 98)


def test_every_form_has_a_class_or_is_of_the_pad():
    served = {*DETECTORS, *EMBEDDERS, *LANDMARKS}
    assert served == {name for name, form in FORMS.items() if form.role != "pad"}


def test_a_folder_with_a_manifest_is_a_pack(tmp_path):
    engine = FaceEngine(toy(tmp_path))
    (view,) = engine.views([white_square()], None)
    assert isinstance(view, FrameView)
    assert view.scheme == "arcface5"
    assert view.features.shape == (512,)
    assert np.linalg.norm(view.features) == pytest.approx(1)
    assert (view.width, view.height) == (640, 384)
    assert view.thumb is None  # of one frame; of a burst each has one
    assert [item.thumb.shape for item in engine.views([white_square()] * 2, None)] == [(64, 64)] * 2
    assert engine.threshold(1e-3) == (0.5, 1e-3)


def test_the_mirrored_pair_is_the_same_however_the_model_takes_it(tmp_path):
    chip = np.random.default_rng(2).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    rows = []
    for size in (None, 1):
        path = onnx_forms.arcface(tmp_path / f"{size}.onnx", batch=size)
        embedder = ArcfaceEmbedder(path, FORMS["arcface-112"].defaults)
        pair, _ = embedder.embed(chip, mirror=True)
        turned, _ = embedder.embed(np.ascontiguousarray(chip[:, ::-1]), mirror=False)
        assert np.allclose(pair[1], turned[0], atol=1e-4)
        rows.append(pair)
    assert np.allclose(*rows, atol=1e-4)


@pytest.mark.parametrize("mirror", [True, False])
def test_a_pack_says_whether_captures_are_mirrored(tmp_path, mirror):
    det, emb = onnx_forms.scrfd(tmp_path / "d.onnx"), onnx_forms.arcface(tmp_path / "e.onnx")
    engine = FaceEngine(write_manifest(tmp_path, [
        file_of(det, "detector", "scrfd"),
        file_of(emb, "embedder", "arcface-112", Parameters(mirror=mirror)),
    ]))
    (view,) = engine.views([white_square()], None)
    assert ("mirror" in view.components) == mirror


@needs_yunet
def test_real_weights_in_other_forms_tell_the_same_people_apart(tmp_path, face_pack_dir):
    """YuNet's points, ArcFace's chip, dlib's network: every answer is of the right person."""
    emb = onnx_forms.arcface_of_dlib(tmp_path / "emb.onnx", face_pack_dir / "embedder.onnx")
    mirror = Parameters(mirror_range=(0.88, 0.98), same_person_min=0.88)
    engine = FaceEngine(write_manifest(tmp_path, [
        file_of(copied(YUNET, tmp_path), "detector", "yunet"),
        file_of(emb, "embedder", "arcface-112", mirror),
    ], dimensions=128))
    references = {}
    for person in PEOPLE:
        draft = engine.make_reference_template(
            simplejpeg.encode_jpeg(load_portrait(person), 95))
        assert isinstance(draft, ReferenceDraft), (person.key, draft)
        references[person.key] = np.frombuffer(draft.template, np.int8)
    for person in PEOPLE:
        probe = engine.probe([face_frame(load_portrait(person), seed=9)])
        assert isinstance(probe, Probe)
        scores = {key: compare_templates(row, probe.template) for key, row in references.items()}
        assert max(scores, key=scores.get) == person.key
        assert scores[person.key] > 0.95


@needs_yunet
def test_a_faster_detector_before_the_default_packs_models_decides_alike(
    tmp_path, face_pack_dir, face_engine
):
    default = load_manifest(face_pack_dir)
    files = [file_of(copied(YUNET, tmp_path), "detector", "yunet")]
    for file in default.files:
        if file.role != "detector":
            copied(face_pack_dir / file.name, tmp_path)
            box = DLIB_BOX if file.role == "landmarks" else file.parameters
            files.append(msgspec.structs.replace(file, parameters=box))
    engine = FaceEngine(write_manifest(tmp_path, files, dimensions=128))
    for person in PEOPLE:
        frame = face_frame(load_portrait(person), seed=3)
        ours, default_probe = engine.probe([frame]), face_engine.probe([frame])
        assert compare_templates(ours.template, default_probe.template) > 0.98
    two = faces_frame([load_portrait(person) for person in PEOPLE[1:3]], seed=4)
    assert engine.probe([two]).reason == "face_multiple"


def test_views_without_floors_show_a_poor_face(face_engine):
    blurred = simplejpeg.encode_jpeg(
        cv2.GaussianBlur(load_portrait(PEOPLE[0]), (0, 0), 7), 95)
    (strict,), (free,) = face_engine.views([blurred]), face_engine.views([blurred], None)
    assert isinstance(strict, ProbeFault)
    assert isinstance(free, FrameView)


@pytest.mark.parametrize("make,words", [
    (lambda f: toy(f, embedder=onnx_forms.arcface(f / "emb.onnx", nan=True)), "aren't numbers"),
    (lambda f: toy(f, embedder=onnx_forms.arcface(f / "emb.onnx", dimensions=128)),
     "manifest says 512"),
    (lambda f: toy(f, embedder=onnx_forms.arcface(f / "emb.onnx", side=128)), "was expected"),
    (lambda f: toy(f, embedder=onnx_forms.arcface(f / "emb.onnx", batch=4)), "was expected"),
    (lambda f: toy(f, embedder=onnx_forms.scrfd(f / "emb.onnx")), "features of shape"),
    (lambda f: toy(f, detector=onnx_forms.arcface(f / "det.onnx")), "no multiple of 32"),
    (lambda f: toy(f, detector=onnx_forms.scrfd(f / "det.onnx", points=False)),
     "nothing in the pack gives"),
], ids=["NaN weights", "dimensions", "side", "batch", "a detector as embedder",
        "an embedder as detector", "no points"])
def test_a_model_that_does_not_fit_is_refused_when_opened(tmp_path, make, words):
    with pytest.raises(PackError, match=words):
        FaceEngine(make(tmp_path))


@pytest.mark.parametrize("change,words", [
    ({"licence": None}, "licence"),
    ({"licence": {"id": "", "title": "t", "words": "w", "commercial": True}}, "licence"),
    ({"format": 1}, "of format 1, this node reads format 2"),
    ({"format": 3}, "of format 3"),
    ({"surprise": 1}, "surprise"),
    ({"id": "../up"}, "id"),
    ({"dimensions": 0}, "0 dimensions"),
    ({"operating_points": [{"fmr": 1e-3, "threshold": 0.5, "fnmr": 0.1, "data": "d"},
                           {"fmr": 1e-4, "threshold": 0.4, "fnmr": 0.1, "data": "d"}]},
     "lower threshold"),
    ({"operating_points": [{"fmr": 0, "threshold": 0.5, "fnmr": 0.1, "data": "d"}]}, "fmr"),
    ({"files": []}, "files"),
])
def test_a_manifest_that_is_wrong_says_where(tmp_path, change, words):
    toy(tmp_path)
    edit(tmp_path, **change)
    with pytest.raises(PackError, match=words):
        FaceEngine(tmp_path)


@pytest.mark.parametrize("index,change,words", [
    (0, {"form": "yolo"}, "'yolo', which isn't known for a detector: known are mmod, scrfd, yunet"),
    (0, {"form": "arcface-112"}, "isn't known for a detector"),
    (0, {"parameters": {"crop_scale": 2.7}}, "takes no parameter 'crop_scale'"),
    (0, {"parameters": {"std": 0}}, "std"),
    (0, {"parameters": {"speed": 2}}, "speed"),
    (0, {"name": "../det.onnx"}, "name"),
    (0, {"sha256": "0" * 64}, "det.onnx is damaged"),
    (0, {"bytes": 7}, "det.onnx is damaged"),
    (0, {"role": "landmarks", "form": "dlib-5"}, "has no detector"),
    (1, {"name": "det.onnx"}, "names a file twice"),
    (1, {"needs": "vnni", "role": "pad", "form": "minifasnet"}, "has no embedder"),
])
def test_a_file_entry_that_is_wrong_says_which(tmp_path, index, change, words):
    toy(tmp_path)
    edit_file(tmp_path, index, **change)
    with pytest.raises(PackError, match=words):
        FaceEngine(tmp_path)


def test_a_pack_without_operating_points_serves_no_error_rate(tmp_path):
    engine = FaceEngine(toy(tmp_path, operating_points=()))
    assert engine.threshold(0.5) is None
    assert engine.strictest() is None


def test_operating_points_may_stand_in_any_order(tmp_path):
    points = tuple(OperatingPoint(fmr=fmr, threshold=at, fnmr=0.1, data="d")
                   for fmr, at in ((1e-4, 0.6), (1e-2, 0.4), (1e-3, 0.5)))
    manifest = load_manifest(toy(tmp_path, operating_points=points))
    check_manifest(manifest)
    assert manifest.operating_point(2e-3).threshold == 0.5


def test_a_pack_is_found_by_name_or_by_the_path_of_its_folder(tmp_path):
    (tmp_path / "shelf" / "one").mkdir(parents=True)
    (tmp_path / "own").mkdir()
    toy(tmp_path / "shelf" / "one")
    toy(tmp_path / "own")
    assert find_pack(tmp_path / "shelf", "one") == tmp_path / "shelf" / "one"
    assert find_pack(tmp_path / "shelf", str(tmp_path / "own")) == tmp_path / "own"
    with pytest.raises(PackError, match="are one"):
        find_pack(tmp_path / "shelf", "two")


def test_a_default_pack_of_an_earlier_format_is_made_anew(tmp_path):
    (tmp_path / "dlib-v1").mkdir()
    (tmp_path / "dlib-v1" / MANIFEST).write_text('{"format": 1, "id": "dlib-v1"}')
    folder = ensure_default_pack(tmp_path)
    assert is_current(folder)
    assert FaceEngine(folder).threshold(1e-3) is not None
