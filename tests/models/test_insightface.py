"""The whole path beside InsightFace's own, with real weights in its files' forms."""

import msgspec
import pytest
import simplejpeg

from bench import face_vs_insightface
from bench.face_whole_path import compare_whole_paths
from edge.imaging import decode_rgb
from edge.models.detection import Face
from edge.models.forms import FORMS
from edge.models.grid.detector import YunetDetector
from edge.models.manifest import OperatingPoint, Parameters
from edge.models.search import find_only_face
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
def test_every_pair_is_decided_as_insightface_decides(tmp_path, pack):
    result = face_vs_insightface.run_pack(small=True, folder=pack)
    assert result.valid, result.why
    assert result.settings["pairs_that_differ"] == {"own": 0.0, "same": 0.0}
    assert not list(tmp_path.glob(".*"))


@needs_yunet
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs aren't at hand")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_photographs_of_one_person_are_decided_as_insightface_decides(pack):
    whole = msgspec.structs.replace(FORMS["yunet"].defaults, search_sides=(640,))
    detector = YunetDetector(YUNET, whole)
    photographs = [path.read_bytes() for path in sorted(PHOTOGRAPHS.rglob("*.jp*g"))]
    alone = [data for data in photographs if _plain(data)
             and isinstance(find_only_face(decode_rgb(data), detector)[0], Face)]
    assert len(alone) > 60
    result = compare_whole_paths("photographs", pack, alone)
    assert max(result.settings["pairs_that_differ"].values()) <= 0.001
    assert result.valid, result.why


def _plain(data: bytes) -> bool:
    """Tell whether simplejpeg reads a file, which InsightFace's side is given here."""
    try:
        return simplejpeg.decode_jpeg_header(data)[2] in ("YCbCr", "Gray")
    except ValueError:
        return False


def test_equal_results_cost_less_than_insightfaces_functions():
    ratios = []
    for _ in range(2):
        result = face_vs_insightface.run(small=True)
        assert result.valid, result.why
        ratios.append(result.ratio)
    assert min(ratios) < 0.5
