"""Five points of a face: eye corners and nose base, by the converted shape predictor."""

from pathlib import Path

import numpy as np

from edge.errors import PackError
from edge.models.detection import Face, Points, Rgb, Scheme
from edge.models.kernels import predict_shape

PARTS = ("initial", "splits", "thresholds", "leaves", "anchors", "deltas")


class Landmarks:
    """Predicts the points within a detected box."""

    scheme: Scheme = "dlib5"

    def __init__(self, path: Path) -> None:
        """Load the arrays.

        Raises:
            PackError: The file isn't of that form.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                self._arrays = tuple(np.ascontiguousarray(file[part]) for part in PARTS)
        except (OSError, ValueError, KeyError) as error:
            raise PackError(f"{path} isn't a landmarks file") from error

    def predict(self, rgb: Rgb, face: Face) -> Points:
        """Give the points in pixels, float32, shape (5, 2)."""
        return predict_shape(rgb, face.left, face.top, face.right, face.bottom, *self._arrays)
