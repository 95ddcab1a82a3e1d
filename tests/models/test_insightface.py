"""The whole path beside InsightFace's own, with real weights in its files' forms."""

import pytest

from bench import face_vs_insightface
from bench.face_photos import find_photos
from bench.face_whole_path import compare_whole_paths
from edge.models.manifest import OperatingPoint, Parameters
from kanhe.calibration.gather import SUFFIXES
from tests.fakes import onnx_forms
from tests.models.packs import SHARED, YUNET, file_of, write_manifest

PHOTOGRAPHS = SHARED / "faces"
needs_yunet = pytest.mark.skipif(not YUNET.is_file(), reason="the YuNet file isn't at hand")


@pytest.fixture
def pack(tmp_path, face_pack_dir):
    """The default pack's embedder and a YuNet file, in the forms of ArcFace and SCRFD."""
    folder = tmp_path / "pack"
    folder.mkdir()
    det = onnx_forms.scrfd_of_yunet(folder / "det.onnx", YUNET)
    rec = onnx_forms.arcface_of_dlib(folder / "rec.onnx", face_pack_dir / "embedder.onnx")
    point = OperatingPoint(fmr=1e-3, threshold=0.93, fnmr=0.1, data="none")
    write_manifest(folder, [
        file_of(det, "detector", "scrfd", Parameters(score_min=0.7)),
        file_of(rec, "embedder", "arcface-112", Parameters(same_person_min=0.88)),
    ], dimensions=128, operating_points=(point,))
    return folder


@needs_yunet
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_pair_is_decided_as_insightface_decides(pack):
    result = face_vs_insightface.run_pack(small=True, folder=pack)
    assert result.valid, result.why
    for path in ("own", "same"):
        assert result.settings["pairs_that_differ"][path]["0.93"] == 0.0
    assert result.settings["same_person"] > 0
    assert not any(result.settings["no_features"].values())


@needs_yunet
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs aren't at hand")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_photographs_of_one_person_are_decided_as_insightface_decides(tmp_path, pack):
    loose = tmp_path / "loose"
    loose.mkdir()
    for number, path in enumerate(sorted(PHOTOGRAPHS.rglob("*.*"))):
        if path.suffix in SUFFIXES:
            (loose / f"{number}{path.suffix}").symlink_to(path)
    result = compare_whole_paths("photographs", pack, find_photos(loose, 100), rounds=1)
    assert result.settings["no_features"]["theirs"] == {}
    assert set(result.settings["no_features"]["own"]) <= {"face_multiple"}
    assert result.n > 75
    assert result.valid, result.why


def test_equal_results_cost_less_than_insightfaces_functions():
    ratios = []
    for _ in range(2):
        result = face_vs_insightface.run(small=True)
        assert result.valid, result.why
        ratios.append(result.ratio)
    assert min(ratios) < 0.5
