"""The shipped calibration: int8 as good as float32, and none where it doesn't fit."""

import msgspec
import numpy as np
import onnx
import pytest

from edge.models.assemble import choose
from edge.models.calibration import (
    EMBEDDER_FILE,
    INT8_FILE,
    SHIPPED,
    load_calibration,
    make_int8,
)
from edge.models.convert import EMBEDDER, SHA256, ensure_default_pack
from edge.models.embedder import DlibEmbedder
from edge.models.forms import FORMS
from edge.models.graph import graph_signature
from edge.models.manifest import load_manifest
from edge.models.sessions import has_vnni
from kanhe import ranges
from kanhe.demo.people import PEOPLE, load_portrait
from tests.models.packs import SHARED, copied

WEIGHTS = SHA256[EMBEDDER]


@pytest.fixture
def folder(tmp_path, face_pack_dir):
    copied(face_pack_dir / EMBEDDER_FILE, tmp_path)
    return tmp_path


def features(path, chip) -> np.ndarray:
    rows, _ = DlibEmbedder(path, FORMS["dlib-150"].defaults).embed(chip, mirror=True)
    both = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).sum(0)
    return both / np.linalg.norm(both)


def test_the_shipped_ranges_fit_the_graph_made_here_and_hold_no_more_than_numbers(folder):
    calibration = load_calibration(SHIPPED)
    assert SHIPPED.stat().st_size < 16_384
    assert make_int8(folder, WEIGHTS) == ""
    assert all(np.isfinite(pair).all() and pair[0] < pair[1]
               for pair in calibration.ranges.values())


@pytest.mark.skipif(not has_vnni(), reason="without VNNI int8 isn't run")
def test_int8_by_the_shipped_ranges_is_as_good_as_float32(folder, face_engine):
    assert make_int8(folder, WEIGHTS) == ""
    for person in PEOPLE:
        picture = load_portrait(person)
        face = face_engine._parts.detector.detect(picture, 640)[0][0]
        points = face_engine._parts.landmarks.predict(picture, face)
        chip = face_engine._parts.embedder.cut(picture, points)
        assert features(folder / INT8_FILE, chip) @ features(folder / EMBEDDER_FILE, chip) > 0.9993


def test_a_calibration_of_other_weights_or_another_graph_makes_no_int8(folder, tmp_path):
    assert make_int8(folder, "0" * 64).endswith("was measured on other weights")
    model = onnx.load(str(folder / EMBEDDER_FILE))
    model.graph.node[5].output[0] += "x"
    (folder / EMBEDDER_FILE).write_bytes(model.SerializeToString())
    assert make_int8(folder, WEIGHTS).endswith("was measured on another graph")
    assert not (folder / INT8_FILE).exists()


@pytest.mark.parametrize("spoil, words", [
    (lambda path: path.unlink(), "can't be read"),
    (lambda path: path.write_bytes(b"{}"), "isn't a calibration"),
    (lambda path: path.write_bytes(b" " * 99_999), "too large"),
    (lambda path: path.write_bytes(msgspec.json.encode(msgspec.structs.replace(
        load_calibration(SHIPPED), ranges={"v1": (0.0, 1.0)}))), "can't be quantised"),
], ids=["missing", "empty", "large", "ranges-missing"])
def test_a_calibration_that_is_none_makes_no_int8_and_says_so(folder, tmp_path, spoil, words):
    path = tmp_path / "ranges.json"
    path.write_bytes(SHIPPED.read_bytes())
    spoil(path)
    assert words in make_int8(folder, WEIGHTS, path)
    assert not (folder / INT8_FILE).exists()


def test_without_int8_a_pack_serves_with_float32(tmp_path, caplog):
    folder = ensure_default_pack(tmp_path, calibration=tmp_path / "none.json")
    assert choose(load_manifest(folder), "embedder").name == EMBEDDER_FILE
    assert not (folder / INT8_FILE).exists()
    assert "float32 serves" in caplog.text


def test_a_signature_is_of_the_graph_and_not_of_its_weights(folder):
    data = (folder / EMBEDDER_FILE).read_bytes()
    model = onnx.load_from_string(data)
    model.graph.initializer[-1].raw_data = bytes(len(model.graph.initializer[-1].raw_data))
    assert graph_signature(model.SerializeToString()) == graph_signature(data)
    model.graph.node[3].attribute[0].ints[0] = 9
    assert graph_signature(model.SerializeToString()) != graph_signature(data)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the development photographs aren't at hand")
def test_ranges_are_measured_by_a_command_and_pictures_without_a_face_are_refused(
    tmp_path, face_pack_dir, capsys
):
    out, packs = tmp_path / "out.json", str(face_pack_dir.parent)
    pictures = SHARED / "faces" / "set-a" / "obama"
    assert ranges.main([str(pictures), "--packs", packs, "--out", str(out)]) == 0
    measured, shipped = load_calibration(out), load_calibration(SHIPPED)
    assert (measured.graph, set(measured.ranges)) == (shipped.graph, set(shipped.ranges))
    # What some of the pictures show lies within what all of them do.
    assert all(shipped.ranges[name][0] - 1e-3 <= low and high <= shipped.ranges[name][1] + 1e-3
               for name, (low, high) in measured.ranges.items())
    assert ranges.main([str(tmp_path), "--packs", packs, "--out", str(out)]) == 1
    assert "none of the pictures holds a face" in capsys.readouterr().err
