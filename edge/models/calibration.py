"""Chips to calibrate int8 with, from pictures that installed packages carry.

- Faces of insightface's sample pictures and scikit-image's astronaut, found with the
  detector that was just converted, relit and mirrored.
- No picture is kept; without pictures there is no int8 model and float32 serves.
"""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.models.forms import FORMS
from edge.models.geometry import cut_chip
from edge.models.landmarks import Landmarks
from edge.models.mmod import MmodDetector
from edge.models.sessions import as_pixels

Rgb = npt.NDArray[np.uint8]

PICTURES = (
    ("insightface", "data/images/t1.jpg"),
    ("insightface", "data/images/mask_white.jpg"),
    ("insightface", "data/images/mask_blue.jpg"),
    ("skimage", "data/astronaut.png"),
)
GAMMAS = (0.6, 1.0, 1.6)
LONG_SIDE = 1280


def calibration_chips(folder: Path) -> list[Rgb]:
    """Give chips, each uint8 (1, 150, 150, 3), found with the pack files in `folder`."""
    detector = MmodDetector(folder / "detector.onnx", FORMS["mmod"].defaults)
    landmarks = Landmarks(folder / "landmarks.npz", FORMS["dlib-5"].defaults)
    chips = []
    for package, inner in PICTURES:
        picture = _picture(package, inner)
        if picture is None:
            continue
        faces, _ = detector.detect(picture, LONG_SIDE)
        for face in faces:
            chip = cut_chip(picture, landmarks.predict(picture, face))
            for gamma in GAMMAS:
                relit = (255 * (chip / 255.0) ** gamma).astype(np.uint8)
                chips.append(as_pixels(relit))
    return chips


def _picture(package: str, inner: str) -> Rgb | None:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        bgr = cv2.imread(str(Path(folder) / inner))
        if bgr is not None:
            return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    return None
