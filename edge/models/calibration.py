"""The shipped calibration: which values each tensor of the default embedder takes.

- Numbers only, two a tensor: no weights, no pictures. Measured once by `python -m kanhe.ranges`
  (how and on what stands in the file itself), so that nobody needs pictures to have int8.
- It is believed only for the weights and the graph that it was measured on. Another one has no
  int8 model, and float32 serves: slower, never wrong.
- Not here: the quantiser (edge.models.sessions).
"""

from collections.abc import Iterable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import PackError
from edge.models.forms import FORMS
from edge.models.geometry import cut_chip
from edge.models.landmarks import Landmarks
from edge.models.manifest import Sha256
from edge.models.mmod import MmodDetector
from edge.models.sessions import Ranges, as_pixels, measure_ranges, quantise

Rgb = npt.NDArray[np.uint8]

SHIPPED = Path(__file__).with_name("embedder-ranges.json")
BYTES_MAX = 64 * 1024
GAMMAS = (0.6, 1.0, 1.6)
LONG_SIDE = 1280
DETECTOR_FILE, EMBEDDER_FILE, INT8_FILE, LANDMARKS_FILE = (
    "detector.onnx", "embedder.onnx", "embedder-int8.onnx", "landmarks.npz")
"""Names of the default pack's files."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lowest and highest value of each tensor, and of what they were measured.

    Attributes:
        made: How, in words.
        weights: SHA-256 of the weights file that the graph is made of.
        graph: Signature of the graph (`edge.models.graph.graph_signature`).
        pictures, chips: How many there were.
    """

    made: str
    weights: Sha256
    graph: Sha256
    pictures: int
    chips: int
    ranges: Ranges


def make_int8(folder: Path, weights: str, shipped: Path = SHIPPED) -> str:
    """Quantise the embedder in a folder by a calibration.

    Args:
        folder: Holds `EMBEDDER_FILE`; `INT8_FILE` is put beside it.
        weights: SHA-256 of the file that the embedder was made of.
        shipped: The calibration's file.

    Returns:
        Why there is no int8 model, empty if there is.
    """
    from edge.models.graph import graph_signature  # the onnx package is needed only here

    try:
        calibration = load_calibration(shipped)
        if calibration.weights != weights:
            raise PackError(f"{shipped.name} was measured on other weights")
        if calibration.graph != graph_signature((folder / EMBEDDER_FILE).read_bytes()):
            raise PackError(f"{shipped.name} was measured on another graph")
        quantise(folder / EMBEDDER_FILE, folder / INT8_FILE, calibration.ranges)
    except PackError as error:
        (folder / INT8_FILE).unlink(missing_ok=True)
        return str(error)
    return ""


def load_calibration(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        PackError: It is missing or isn't one.
    """
    try:
        data = path.read_bytes()
        if len(data) > BYTES_MAX:
            raise PackError(f"{path.name} is too large for a calibration")
        return msgspec.json.decode(data, type=Calibration)
    except OSError as error:
        raise PackError(f"{path} can't be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise PackError(f"{path.name} isn't a calibration: {error}") from error


def measure_calibration(
    folder: Path, weights: str, pictures: Iterable[Path], made: str
) -> Calibration:
    """Measure the embedder in a pack's folder on pictures of faces.

    Raises:
        PackError: A model can't be run, or no picture holds a face.
    """
    from edge.models.graph import graph_signature

    used, chips = 0, []
    for picture in pictures:
        found = _chips(folder, picture)
        used += bool(found)
        chips += found
    if not chips:
        raise PackError("none of the pictures holds a face")
    return Calibration(
        made=made, weights=weights, graph=graph_signature((folder / EMBEDDER_FILE).read_bytes()),
        pictures=used, chips=len(chips), ranges=measure_ranges(folder / EMBEDDER_FILE, chips),
    )


def _chips(folder: Path, path: Path) -> list[Rgb]:
    """Cut every face of a picture, each uint8 (1, 150, 150, 3), as it is and relit."""
    bgr = cv2.imread(str(path))
    if bgr is None:
        return []
    picture = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    detector = MmodDetector(folder / DETECTOR_FILE, FORMS["mmod"].defaults)
    landmarks = Landmarks(folder / LANDMARKS_FILE, FORMS["dlib-5"].defaults)
    faces, _ = detector.detect(picture, LONG_SIDE)
    chips = [cut_chip(picture, landmarks.predict(picture, face)) for face in faces]
    return [as_pixels((255 * (chip / 255.0) ** gamma).astype(np.uint8))
            for chip in chips for gamma in GAMMAS]
