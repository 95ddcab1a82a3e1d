"""Makes the default face pack once, from weights that an installed package carries.

- The package's files are public domain (their author's word); each is held against its
  hash before it is read. The 68-point file excludes commercial use and isn't touched.
- Made in a folder beside its place and renamed into it: a killed conversion leaves nothing
  half done, and of two at once one wins.
- The package is found, never imported.
"""

import contextlib
import importlib.util
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from edge.errors import PackError
from edge.models.calibration import SHIPPED, make_int8
from edge.models.dlib_shape import read_shape_predictor
from edge.models.dlib_stream import read_network
from edge.models.geometry import CHIP_SIDE
from edge.models.manifest import (
    MANIFEST,
    Licence,
    OperatingPoint,
    PackFile,
    PackManifest,
    Role,
    hash_file,
    is_current,
)
from edge.protocol.records import Words

_LOG = logging.getLogger(__name__)
PACK_ID = "dlib-v1"
PACKAGE = "face_recognition_models"
DETECTOR = "mmod_human_face_detector.dat"
LANDMARKS = "shape_predictor_5_face_landmarks.dat"
EMBEDDER = "dlib_face_recognition_resnet_model_v1.dat"
SHA256 = {
    EMBEDDER: "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    DETECTOR: "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
    LANDMARKS: "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
}
NOTES = Words(
    "内置模型：随处可用，适合演示、开发及配合真码作第二因素；不是金融级核验。"
    "在东亚人脸中误匹配集中：在全局 1e-3 阈值下约 12% 的此类不同人比对会通过。不含活体检测。",
    "Built in: works anywhere, for demonstration, development and as the second factor beside a "
    "genuine code. Not a financial-grade verifier. Among East Asian faces its false matches "
    "concentrate: at the global 1e-3 threshold about 12 % of such impostor pairs pass. No "
    "presentation attack detection.",
)
LICENCE = Licence(
    id="public-domain", title="public domain", commercial=True,
    words="The author of the weights, Davis King, has placed them in the public domain "
    "(https://github.com/davisking/dlib-models); packaged in face-recognition-models 0.3.0.",
)
_DATA = "LFW, all pairs, cosine with mirrored chip"
POINTS = (
    OperatingPoint(fmr=1e-2, threshold=0.910, fnmr=0.007, data=_DATA),
    OperatingPoint(fmr=1e-3, threshold=0.928, fnmr=0.046, data=_DATA),
    OperatingPoint(fmr=1e-4, threshold=0.943, fnmr=0.16, data=_DATA),
    OperatingPoint(fmr=1e-5, threshold=0.955, fnmr=0.38, data=_DATA),
)

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what comes next)."""
_STEPS = 5


def silent(done: int, total: int, doing: str) -> None:
    """Report no progress."""


def ensure_default_pack(
    packs_dir: Path, progress: Progress = silent, calibration: Path = SHIPPED
) -> Path:
    """Make the default pack if it isn't there.

    Args:
        packs_dir: Folder of packs; made if missing.
        progress: Told of each step.
        calibration: Of int8; one that doesn't fit is warned of, and float32 serves.

    Returns:
        The pack's folder.

    Raises:
        PackError: The weights are missing or altered, or the folder can't be written.
    """
    target = packs_dir / PACK_ID
    if is_current(target):
        return target
    part = packs_dir / f".{PACK_ID}.{os.getpid()}.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _make(part, progress, calibration)
        if (target / MANIFEST).is_file() and not is_current(target):
            shutil.rmtree(target)  # made by an earlier version
        # Where another process was faster, its pack is as good as this one.
        with contextlib.suppress(FileExistsError, OSError):
            part.rename(target)
        if not (target / MANIFEST).is_file():
            raise PackError(f"{target} is there but isn't a whole pack: remove that folder")
    except OSError as error:
        raise PackError(f"the pack can't be written to {packs_dir}: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _make(folder: Path, progress: Progress, calibration: Path) -> None:
    from edge.models.graph import build_graph  # the onnx package is needed only here

    progress(0, _STEPS, "reading the shape predictor")
    shape = read_shape_predictor(_weights(LANDMARKS), LANDMARKS)
    with (folder / "landmarks.npz").open("wb") as file:
        np.savez(file, **shape)  # type: ignore[arg-type]
    progress(1, _STEPS, "converting the detector")
    detector = read_network(_weights(DETECTOR), DETECTOR)
    (folder / "detector.onnx").write_bytes(build_graph(detector))
    progress(2, _STEPS, "converting the embedder")
    embedder = read_network(_weights(EMBEDDER), EMBEDDER)
    (folder / "embedder.onnx").write_bytes(build_graph(embedder, side=CHIP_SIDE, mirror=True))
    progress(3, _STEPS, "quantising the embedder")
    missing = make_int8(folder, SHA256[EMBEDDER], calibration)
    if missing:
        _LOG.warning("no int8 model of the embedder, float32 serves: %s", missing)
    progress(4, _STEPS, "writing the manifest")
    manifest = _manifest(folder, int8=not missing)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    for path in folder.iterdir():
        with path.open("rb") as written:
            os.fsync(written.fileno())
    progress(_STEPS, _STEPS, "done")


def _manifest(folder: Path, *, int8: bool) -> PackManifest:
    forms: list[tuple[str, Role, str]] = [
        ("detector.onnx", "detector", "mmod"),
        ("landmarks.npz", "landmarks", "dlib-5"),
    ]
    if int8:
        forms.append(("embedder-int8.onnx", "embedder", "dlib-150"))
    forms.append(("embedder.onnx", "embedder", "dlib-150"))
    return PackManifest(
        id=PACK_ID, title="dlib, converted", licence=LICENCE,
        source="package face-recognition-models 0.3.0",
        notes=NOTES, dimensions=128, normalise=True, operating_points=POINTS,
        files=tuple(
            PackFile(
                name=name, sha256=hash_file(folder / name),
                bytes=(folder / name).stat().st_size, role=role, form=form,
                needs="vnni" if "int8" in name else "",
            )
            for name, role, form in forms
        ),
    )


def _weights(name: str) -> bytes:
    """Read one weights file of the package and check it."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "models" / name
        if path.is_file():
            if hash_file(path) != SHA256[name]:
                raise PackError(f"{path} isn't the known file (its checksum differs): reinstall "
                                "the package face-recognition-models 0.3.0")
            return path.read_bytes()
    raise PackError(f"{name} isn't installed: install the package face-recognition-models 0.3.0")
