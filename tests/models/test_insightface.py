"""The whole path beside InsightFace's own, with real weights in its files' forms."""

import pytest

from bench import face_vs_insightface
from edge.models.manifest import OperatingPoint, Parameters
from tests.fakes import onnx_forms
from tests.models.packs import YUNET, file_of, write_manifest


@pytest.mark.skipif(not YUNET.is_file(), reason="the YuNet file isn't at hand")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_pair_is_decided_as_insightface_decides(tmp_path, face_pack_dir):
    folder = tmp_path / "pack"
    folder.mkdir()
    det = onnx_forms.scrfd_of_yunet(folder / "det.onnx", YUNET)
    rec = onnx_forms.arcface_of_dlib(folder / "rec.onnx", face_pack_dir / "embedder.onnx")
    point = OperatingPoint(fmr=1e-3, threshold=0.93, fnmr=0.1, data="none")
    write_manifest(folder, [
        file_of(det, "detector", "scrfd", Parameters(score_min=0.7)),
        file_of(rec, "embedder", "arcface-112", Parameters(same_person_min=0.88)),
    ], dimensions=128, operating_points=(point,))
    result = face_vs_insightface.run_pack(small=True, folder=folder)
    assert result.valid, result.why
    assert result.settings["pairs_that_differ"] == {"own": 0.0, "same": 0.0}
    assert not list(tmp_path.glob(".*"))


def test_equal_results_cost_less_than_insightfaces_functions():
    ratios = []
    for _ in range(2):
        result = face_vs_insightface.run(small=True)
        assert result.valid, result.why
        ratios.append(result.ratio)
    assert min(ratios) < 0.5
