"""Passive PAD: what the models are given, what they say, and packs that can't be."""

import numpy as np
import onnx
import pytest
import simplejpeg
from onnx import TensorProto, helper, numpy_helper

from edge.errors import PackError
from edge.hotpath.holder import Probe
from edge.models.detection import Face
from edge.models.engine import FaceEngine
from edge.models.manifest import Parameters, load_manifest
from edge.models.pad import FORMS, InsightFaceLiveness, MiniFasNet, crop_around, open_pad
from edge.models.view import FrameView
from kanhe.demo.people import PEOPLE, load_portrait
from tests.fakes import onnx_forms
from tests.models.packs import SHARED, copied, file_of, write_manifest

MODELS = {"MiniFASNetV2.onnx": 2.7, "MiniFASNetV1SE.onnx": 4.0}
POINTS = np.array([[280, 200], [360, 200], [320, 246], [288, 292], [352, 292]], np.float32)
BOX = Face(240.0, 140.0, 399.0, 359.0, 0.9, POINTS)
BLUE, GREEN, RED = range(3)


def means(path, *, live: bool, weights=(1.0, 1.0, 1.0), kind=TensorProto.FLOAT, side=80):
    """Write a model whose outputs are the means of its three planes, or that of the first."""
    nodes = [helper.make_node("ReduceMean", ["planes"], ["grey"], axes=[2, 3], keepdims=0),
             helper.make_node("Mul", ["grey", "weights"], ["out"])]
    out, shape = "out", [1, 3]
    if live:
        nodes += [helper.make_node("Slice", ["out", "zero", "one", "one"], ["first"]),
                  helper.make_node("Reshape", ["first", "one"], ["live"])]
        out, shape = "live", [1]
    graph = helper.make_graph(
        nodes, "pad", [helper.make_tensor_value_info("planes", kind, [1, 3, side, side])],
        [helper.make_tensor_value_info(out, kind, shape)],
        [numpy_helper.from_array(np.array([weights], np.float32), "weights"),
         numpy_helper.from_array(np.array([0], np.int64), "zero"),
         numpy_helper.from_array(np.array([1], np.int64), "one")])
    path.write_bytes(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString())
    return path


def fasnet(folder, name="fas.onnx", weights=(0.01,) * 3, **parameters):
    path = means(folder / name, live=False, weights=weights)
    return file_of(path, "pad", "minifasnet", Parameters(**parameters))


def pad_pack(folder, files, **said):
    folder.mkdir(exist_ok=True)
    return write_manifest(folder, files, id="pad-pack", dimensions=0, operating_points=(), **said)


def opened(folder, files, scheme="arcface5"):
    return open_pad(folder, load_manifest(pad_pack(folder, files)), scheme)


def coloured(red, green, blue):
    return np.full((480, 640, 3), (red, green, blue), np.uint8)


def test_every_pad_form_has_a_class():
    assert set(FORMS) == {"minifasnet", "insightface-liveness"}


@pytest.mark.parametrize("live_class,channel", [(0, BLUE), (1, GREEN), (2, RED)])
def test_minifasnet_sees_bgr_from_0_to_255_and_the_class_is_the_manifests(
        tmp_path, live_class, channel):
    pad = opened(tmp_path, [fasnet(tmp_path, live_class=live_class)])
    values = {BLUE: 30, GREEN: 120, RED: 210}
    score = pad.score(coloured(values[RED], values[GREEN], values[BLUE]), BOX, POINTS, "arcface5")
    logits = np.array([values[at] * 0.01 for at in range(3)])
    assert score == pytest.approx(np.exp(logits[channel]) / np.exp(logits).sum(), abs=1e-5)
    assert pad.live_min == 0.5


def test_scores_are_averaged_over_the_files(tmp_path):
    picture = coloured(0, 200, 0)
    one, other = fasnet(tmp_path, "a.onnx"), fasnet(tmp_path, "b.onnx", (0.0, 0.05, 0.0))
    single = [opened(tmp_path, [file]).score(picture, BOX, POINTS, "arcface5")
              for file in (one, other)]
    both = opened(tmp_path, [one, other]).score(picture, BOX, POINTS, "arcface5")
    assert single[0] != pytest.approx(single[1], abs=0.05)
    assert both == pytest.approx(sum(single) / 2)


def test_the_crop_holds_its_scale_or_as_much_as_the_picture_has():
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[:, :, 0] = np.arange(640)[None] * 255 // 639
    picture[:, :, 1] = np.arange(480)[:, None] * 255 // 479
    small = Face(300.0, 220.0, 339.0, 273.0, 0.9, POINTS)
    crop = crop_around(picture, small, 2.0).astype(float)
    # Twice 40 × 54 about (320, 247): columns 280 to 360, rows 193 to 301.
    assert crop[40, 0, 0] == pytest.approx(280 * 255 / 639, abs=2)
    assert crop[40, -1, 0] == pytest.approx(360 * 255 / 639, abs=2)
    assert crop[0, 40, 1] == pytest.approx(193 * 255 / 479, abs=2)
    corner = Face(0.0, 0.0, 39.0, 53.0, 0.9, POINTS)
    pushed = crop_around(picture, corner, 2.0).astype(float)
    assert pushed[0, 0, 0] <= 1 and pushed[-1, -1, 0] == pytest.approx(80 * 255 / 639, abs=2)
    whole = crop_around(picture, BOX, 50.0)
    assert whole[0, 40, 1] <= 2 and whole[-1, 40, 1] >= 253


def test_a_square_box_is_made_tall_first():
    square = Face(280.0, 200.0, 359.0, 279.0, 0.9)
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[:, :, 1] = np.arange(480)[:, None] * 255 // 479
    crop = crop_around(picture, square, 1.0).astype(float)
    assert (crop[-1, 40, 1] - crop[0, 40, 1]) * 479 / 255 == pytest.approx(80 * 1.32, abs=4)


def test_the_liveness_addon_sees_what_insightface_shows_it(tmp_path):
    addon = pytest.importorskip("insightface.addons.liveness")
    path = means(tmp_path / "live.onnx", live=True)
    theirs = addon.Liveness(str(path))
    ours = InsightFaceLiveness(path, Parameters(mean=0.0, std=255.0, colour="rgb", live_min=0.8))
    rng = np.random.default_rng(2)
    picture = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    for _ in range(10):
        points = (POINTS + rng.normal(0, 6, (5, 2)) + rng.uniform(-150, 150, 2)).astype(np.float32)
        said = theirs.predict(np.ascontiguousarray(picture[..., ::-1]), points)
        mine = ours.score(picture, BOX, points, "arcface5")
        assert mine == pytest.approx(said["live_score"], abs=1e-4)
    for shift in ([-290, 0], [330, 250]):
        points = POINTS + np.float32(shift)
        assert theirs.predict(picture, points)["status"] == "input_rejected"
        assert ours.score(picture, BOX, points, "arcface5") is None


def test_what_is_no_probability_is_no_score(tmp_path):
    path = means(tmp_path / "live.onnx", live=True, weights=(3.0, 1.0, 1.0))
    pad = InsightFaceLiveness(path, Parameters(mean=0.0, std=255.0, colour="rgb", live_min=0.8))
    assert pad.score(coloured(200, 0, 0), BOX, POINTS, "arcface5") is None
    assert pad.score(coloured(51, 0, 0), BOX, POINTS, "arcface5") == pytest.approx(0.6, abs=1e-3)


@pytest.mark.parametrize("how,words", [
    ({"weights": (np.nan, 1.0, 1.0)}, "isn't a number"), ({"side": 112}, "80, 80"),
    ({"live": True}, "classes were expected"),
])
def test_models_that_are_not_of_the_form_are_refused(tmp_path, how, words):
    path = means(tmp_path / "fas.onnx", **{"live": False, **how})
    with pytest.raises(PackError, match=words):
        MiniFasNet(path, Parameters(mean=0.0, std=1.0, colour="bgr", crop_scale=2.7,
                                    live_class=1, live_min=0.5))


def test_packs_that_cannot_be_the_pad_pack(tmp_path, face_pack_dir):
    with pytest.raises(PackError, match="holds no PAD model"):
        FaceEngine(face_pack_dir, pad_folder=face_pack_dir)
    live = file_of(means(tmp_path / "live.onnx", live=True), "pad", "insightface-liveness")
    with pytest.raises(PackError, match="needs the five points of SCRFD or YuNet"):
        FaceEngine(face_pack_dir, pad_folder=pad_pack(tmp_path, [live]))
    two = [fasnet(tmp_path, "a.onnx"), fasnet(tmp_path, "b.onnx", live_min=0.9)]
    with pytest.raises(PackError, match="same live_min"):
        FaceEngine(face_pack_dir, pad_folder=pad_pack(tmp_path, two))
    with pytest.raises(PackError, match="can't be read"):
        FaceEngine(face_pack_dir, pad_folder=tmp_path / "nowhere")


@pytest.mark.parametrize("live_min,passed", [(0.2, True), (0.9, False)])
def test_a_pad_pack_stands_beside_the_face_pack(tmp_path, face_pack_dir, live_min, passed):
    folder = pad_pack(tmp_path, [fasnet(tmp_path, weights=(0.0,) * 3, live_min=live_min)])
    engine = FaceEngine(face_pack_dir, pad_folder=folder)
    probe = engine.probe([simplejpeg.encode_jpeg(load_portrait(PEOPLE[1]), 92)])
    assert isinstance(probe, Probe)
    assert probe.checks == {"passive": passed}  # three even classes: a third
    assert probe.pack == engine.pack_id == "dlib-v1"
    assert engine.pad_manifest.id == "pad-pack"


def test_a_face_pack_may_hold_its_own(tmp_path):
    files = [file_of(onnx_forms.scrfd(tmp_path / "det.onnx"), "detector", "scrfd"),
             file_of(onnx_forms.arcface(tmp_path / "emb.onnx"), "embedder", "arcface-112"),
             file_of(means(tmp_path / "live.onnx", live=True), "pad", "insightface-liveness")]
    engine = FaceEngine(write_manifest(tmp_path, files))
    picture = np.random.default_rng(5).integers(60, 120, (384, 640, 3), dtype=np.uint8)
    picture[100:164, 200:264] = 255
    (view,) = engine.views([simplejpeg.encode_jpeg(picture, 98)], None)
    assert isinstance(view, FrameView)
    assert 0.2 < view.live < 1.0
    assert engine.pad_manifest is engine.manifest


@pytest.mark.skipif(not (SHARED / "models" / "MiniFASNetV2.onnx").is_file(),
                    reason="the MiniFASNet files aren't at hand")
def test_minifasnet_takes_most_photographs_of_people_for_people(tmp_path, face_pack_dir):
    folder = tmp_path / "fas"
    folder.mkdir()
    files = [file_of(copied(SHARED / "models" / name, folder), "pad", "minifasnet",
                     Parameters(crop_scale=scale)) for name, scale in MODELS.items()]
    engine = FaceEngine(face_pack_dir, pad_folder=pad_pack(folder, files))
    pictures = sorted((SHARED / "faces" / "set-b" / "img").glob("*.jpg"))[:40:2]
    views = [view for path in pictures for view in engine.views([path.read_bytes()], None)]
    scores = [view.live for view in views if isinstance(view, FrameView)]
    assert len(scores) >= 15
    assert np.mean(np.array(scores) >= engine._rules.live_min) >= 0.85


def test_the_test_models_are_whole(tmp_path):
    onnx.checker.check_model(onnx.load(str(means(tmp_path / "a.onnx", live=True))))
