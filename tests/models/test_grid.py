"""SCRFD and YuNet: what their tensors say, beside their authors' own reading of them."""

from pathlib import Path

import cv2
import msgspec
import numpy as np
import onnx
import pytest
from insightface.model_zoo.scrfd import SCRFD
from onnx import TensorProto, helper, numpy_helper

from edge.errors import PackError
from edge.models.forms import FORMS
from edge.models.geometry import arcface_matrix, cut_arcface
from edge.models.grid.detector import GridDetector, ScrfdDetector, YunetDetector
from edge.models.grid.kernels import (
    decode_scrfd,
    decode_scrfd_plain,
    decode_yunet,
    decode_yunet_plain,
    suppress_overlap,
    suppress_overlap_plain,
)
from edge.models.kernels import fill_planes, fill_planes_plain
from edge.models.sessions import Runner
from edge.models.trim import trimmed
from kanhe.demo.frames import faces_frame
from kanhe.demo.people import PEOPLE, load_portrait
from tests.fakes import onnx_forms
from tests.models.packs import YUNET

SCRFD_FORM, YUNET_FORM = FORMS["scrfd"].defaults, FORMS["yunet"].defaults
needs_yunet = pytest.mark.skipif(not YUNET.is_file(), reason="the YuNet file isn't at hand")


def squares(*corners, size=(384, 640)) -> np.ndarray:
    picture = np.zeros((*size, 3), np.uint8)
    for left, top in corners:
        picture[top : top + onnx_forms.FACE_PX, left : left + onnx_forms.FACE_PX] = 255
    return picture


def made_up(rng, stride: int, entries: int):
    return (rng.uniform(0, 1, entries).astype(np.float32),
            rng.uniform(0.2, 4, (entries, 4)).astype(np.float32),
            rng.normal(0, 2, (entries, 10)).astype(np.float32))


@pytest.mark.parametrize("points", [True, False])
@pytest.mark.parametrize("batched", [True, False])
def test_scrfd_of_either_shape_finds_each_square_once(tmp_path, batched, points):
    path = onnx_forms.scrfd(tmp_path / "det.onnx", batched=batched, points=points)
    detector = ScrfdDetector(path, SCRFD_FORM)
    faces, seconds = detector.detect(squares((200, 100), (440, 240)), 640)
    boxes = sorted((f.left, f.top, f.right, f.bottom) for f in faces)
    assert np.allclose(boxes, [(200, 100, 264, 164), (440, 240, 504, 304)], atol=5)
    assert seconds > 0
    assert all((face.points is not None) == points for face in faces)


def test_a_picture_of_any_size_is_given_back_in_its_own_pixels(tmp_path):
    detector = YunetDetector(onnx_forms.yunet(tmp_path / "det.onnx"), YUNET_FORM)
    large = cv2.resize(squares((200, 96)), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    (face,), _ = detector.detect(large, 640)
    assert face.left == pytest.approx(600, abs=24)
    assert face.side == pytest.approx(3 * onnx_forms.FACE_PX, abs=4)
    assert face.points[:, 0].mean() == pytest.approx((face.left + face.right) / 2, abs=1)


@pytest.mark.parametrize("size", [(3, 3), (1, 400), (31, 33), (720, 1280)])
def test_pictures_without_a_face_have_none(tmp_path, size):
    detector = ScrfdDetector(onnx_forms.scrfd(tmp_path / "det.onnx"), SCRFD_FORM)
    assert detector.detect(np.zeros((*size, 3), np.uint8), 640)[0] == []


def test_a_fixed_input_is_searched_once_at_its_own_size(tmp_path):
    detector = YunetDetector(onnx_forms.yunet(tmp_path / "det.onnx", side=640), YUNET_FORM)
    assert detector.search_sides == (640,)
    assert detector.refine_side == 0
    (face,), _ = detector.detect(squares((96, 96)), 320)
    assert face.left == pytest.approx(96, abs=8)


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    with pytest.raises(PackError, match="aren't numbers"):
        ScrfdDetector(onnx_forms.scrfd(tmp_path / "det.onnx", nan=True), SCRFD_FORM)


def test_a_model_with_another_number_of_entries_a_cell_is_refused(tmp_path):
    with pytest.raises(PackError, match="doesn't fit stride 8"):
        ScrfdDetector(onnx_forms.scrfd(tmp_path / "det.onnx", anchors=1), SCRFD_FORM)


@pytest.mark.parametrize("write", [
    onnx_forms.arcface, onnx_forms.yunet,
    lambda path: onnx_forms.scrfd(path, side=600),
], ids=["arcface", "yunet", "no multiple of 32"])
def test_a_file_of_another_form_is_refused(tmp_path, write):
    with pytest.raises(PackError):
        ScrfdDetector(write(tmp_path / "det.onnx"), SCRFD_FORM)


def test_what_is_no_model_is_refused(tmp_path):
    path = tmp_path / "det.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(PackError, match="isn't a whole ONNX model"):
        YunetDetector(path, YUNET_FORM)


@pytest.mark.parametrize("seed", range(5))
def test_the_decoding_kernels_agree_with_their_twins(seed):
    rng = np.random.default_rng(seed)
    scores, boxes, points = made_up(rng, 8, 2 * 40 * 24)
    boxes[5, 1] = np.nan
    scores[9] = np.nan
    rows = np.empty((4_000, 15), np.float32)
    count = decode_scrfd(scores, boxes, points, 8, 40, 2, 0.5, 0.4, rows, 0)
    plain = decode_scrfd_plain(scores, boxes, points, 8, 40, 2, 0.5, 0.4)
    assert np.array_equal(rows[:count], plain)
    scores, boxes, points = made_up(rng, 16, 40 * 24)
    others = rng.uniform(-0.1, 1.1, len(scores)).astype(np.float32)
    count = decode_yunet(scores, others, boxes, points, 16, 40, 0.5, 0.4, rows, 0)
    plain = decode_yunet_plain(scores, others, boxes, points, 16, 40, 0.5, 0.4)
    assert np.allclose(rows[:count], plain, rtol=1e-5, atol=1e-3)


@needs_yunet
@pytest.mark.parametrize("form", ["yunet", "scrfd"])
def test_a_large_face_is_answered_alike_without_the_strides_too_fine_for_it(tmp_path, form):
    path = onnx_forms.scrfd_of_yunet(tmp_path / "det.onnx", YUNET) if form == "scrfd" else YUNET
    form_of = {"yunet": YunetDetector, "scrfd": ScrfdDetector}[form]
    detector = form_of(path, FORMS[form].defaults)
    for side, strides in ((150, (16, 32)), (300, (32,)), (60, (8, 16, 32))):
        picture = np.full((384, 416, 3), 128, np.uint8)
        picture[40 : 40 + side, 60 : 60 + side] = cv2.resize(load_portrait(PEOPLE[1]), (side, side))
        (whole, *_), _ = detector.detect(picture, 416)
        # A portrait shows more than a face, so the strides are chosen as for one of its size.
        assert detector._part(side).strides == strides
        (part, *_), _ = detector.detect(picture, 416, side)
        assert np.allclose(whole.points, part.points, atol=0.01)
        assert np.allclose([whole.left, whole.bottom, whole.score],
                           [part.left, part.bottom, part.score], atol=0.01)


def test_what_is_trimmed_keeps_what_inner_graphs_read(tmp_path):
    number = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
              for name in ("x", "wanted", "other", "y")]
    inner = helper.make_graph([helper.make_node("Identity", ["doubled"], ["y"])], "inner", [],
                              number[3:])
    nodes = [
        helper.make_node("Add", ["x", "x"], ["doubled"]),
        helper.make_node("Mul", ["x", "weight"], ["other"]),
        helper.make_node("If", ["always"], ["wanted"], then_branch=inner, else_branch=inner),
    ]
    weights = [numpy_helper.from_array(np.array([3], np.float32), "weight"),
               numpy_helper.from_array(np.array(True), "always")]
    graph = helper.make_graph(nodes, "outer", number[:1], number[1:3], weights)
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=onnx_forms.OPSET,
                                       ir_version=10).SerializeToString())
    model = onnx.load_from_string(trimmed(path, ["wanted"]))
    assert [node.op_type for node in model.graph.node] == ["Add", "If"]
    assert [item.name for item in model.graph.initializer] == ["always"]
    (found,), _ = Runner(path, outputs=["wanted"]).run_all(np.array([4], np.float32))
    assert found == 8


@pytest.mark.parametrize("seed", range(10))
def test_the_suppression_kernel_agrees_with_its_twin(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 200, (60, 2))
    rows = np.hstack([corner, corner + rng.uniform(20, 120, (60, 2))]).astype(np.float32)
    for grown in (0.0, 1.0):
        fast = suppress_overlap(rows, 0.4, grown).tolist()
        assert fast == suppress_overlap_plain(rows, 0.4, np.float32(grown)).tolist()


def test_rows_beyond_the_bound_are_left_out():
    rows = np.empty((3, 15), np.float32)
    scores = np.ones(10, np.float32)
    boxes, points = np.ones((10, 4), np.float32), np.ones((10, 10), np.float32)
    assert decode_scrfd(scores, boxes, points, 8, 5, 2, 0.5, 1.0, rows, 0) == 3


@pytest.mark.parametrize("swap", [True, False])
@pytest.mark.parametrize("flip", [True, False])
def test_the_planes_kernel_agrees_with_its_twin(swap, flip):
    picture = np.random.default_rng(3).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    fast, plain = (np.empty((3, 32, 64), np.float32) for _ in range(2))
    fill_planes(picture, fast, 127.5, 1 / 128, swap, flip)
    fill_planes_plain(picture, plain, 127.5, 1 / 128, swap, flip)
    assert np.array_equal(fast, plain)


@pytest.mark.parametrize("seed", range(6))
def test_scrfd_reads_as_insightface_reads(tmp_path, seed):
    path = onnx_forms.scrfd(tmp_path / "det.onnx", side=640)
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 90, (480, 640, 3), dtype=np.uint8)
    for left, top in rng.integers(0, 400, (3, 2)):
        picture[top : top + 64, left : left + 64] = 255
    theirs = SCRFD(str(path))
    theirs.prepare(-1, det_thresh=0.5)
    boxes, points = theirs.detect(picture[..., ::-1])
    ours, _ = ScrfdDetector(path, SCRFD_FORM).detect(picture, 640)
    assert len(ours) == len(boxes) > 0
    for face, box, five in zip(ours, boxes, points, strict=True):
        assert np.allclose([face.left, face.top, face.right, face.bottom], box[:4], atol=1e-3)
        assert face.score == pytest.approx(box[4], abs=1e-4)
        assert np.allclose(face.points, five, atol=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_the_chip_is_insightfaces_chip(seed):
    from insightface.utils.face_align import estimate_norm, norm_crop

    rng = np.random.default_rng(seed)
    turn = np.exp(1j * rng.normal(0, 0.5)) * rng.uniform(0.5, 4)
    shape = np.array([38 + 52j, 74 + 52j, 56 + 72j, 42 + 92j, 71 + 92j])
    spots = shape * turn + complex(*rng.uniform(100, 300, 2))
    points = np.stack([spots.real, spots.imag], axis=1) + rng.normal(0, 2, (5, 2))
    points = points.astype(np.float32)
    picture = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    with pytest.warns(FutureWarning):
        assert np.allclose(arcface_matrix(points), estimate_norm(points), atol=1e-3)
        theirs = norm_crop(picture, points)
    differs = cut_arcface(picture, points).astype(int) - theirs
    assert (differs != 0).mean() < 0.02


def test_points_on_one_spot_make_a_chip_and_no_error():
    chip = cut_arcface(np.full((50, 50, 3), 9, np.uint8), np.full((5, 2), 7, np.float32))
    assert chip.shape == (112, 112, 3)


@needs_yunet
def test_yunet_reads_as_opencv_reads():
    picture = cv2.imdecode(np.frombuffer(
        faces_frame([load_portrait(person) for person in PEOPLE[:3]], seed=4), np.uint8), 1)
    picture = np.ascontiguousarray(picture[:640, :1280])
    form = msgspec.structs.replace(YUNET_FORM, score_min=0.6)
    ours, _ = YunetDetector(YUNET, form).detect(np.ascontiguousarray(picture[..., ::-1]), 1280)
    theirs = cv2.FaceDetectorYN.create(str(YUNET), "", picture.shape[1::-1], 0.6, 0.3)
    _, rows = theirs.detect(picture)
    assert len(ours) == len(rows) == 3
    for face, row in zip(sorted(ours, key=lambda f: f.left), rows[np.argsort(rows[:, 0])],
                         strict=True):
        box = [face.left, face.top, face.right - face.left, face.bottom - face.top]
        assert np.allclose(box, row[:4], atol=1.5)
        assert np.allclose(face.points.ravel(), row[4:14], atol=0.5)
        assert face.score == pytest.approx(row[14], abs=0.01)


def test_a_detector_is_safe_for_any_tensor_width(tmp_path: Path):
    detector: GridDetector = YunetDetector(onnx_forms.yunet(tmp_path / "d.onnx"), YUNET_FORM)
    empty = [np.zeros((1, 0, width), np.float32) for width in [1] * 6 + [4] * 3 + [10] * 3]
    assert len(detector.rows(empty, 32, 1.0, 0.5)) == 0
