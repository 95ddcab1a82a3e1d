"""Five points of a face: eye corners and nose base, by the converted shape predictor."""

from pathlib import Path

import numpy as np

from edge.errors import PackError
from edge.models.detection import Face, Points, Rgb, Scheme
from edge.models.kernels import predict_shape
from edge.models.manifest import Parameters

PARTS = ("initial", "splits", "thresholds", "leaves", "anchors", "deltas")


class Landmarks:
    """Predicts the points within a detected box."""

    scheme: Scheme = "dlib5"

    def __init__(self, path: Path, parameters: Parameters) -> None:
        """Load the arrays.

        Raises:
            PackError: The file isn't of that form.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                self._arrays = tuple(np.ascontiguousarray(file[part]) for part in PARTS)
        except (OSError, ValueError, KeyError) as error:
            raise PackError(f"{path} isn't a landmarks file") from error
        assert parameters.box_scale is not None and parameters.box_shift is not None
        self._scale, self._shift = parameters.box_scale, parameters.box_shift

    def predict(self, rgb: Rgb, face: Face) -> Points:
        """Give the points in pixels, float32, shape (5, 2)."""
        half = self._scale * (face.side - 1.0) / 2
        x = (face.left + face.right) / 2
        y = (face.top + face.bottom) / 2 + self._shift * face.side
        return predict_shape(rgb, x - half, y - half, x + half, y + half, *self._arrays)
