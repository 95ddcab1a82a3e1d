"""Embedders by form: how a face is cut and its chip turned into features.

- Every embedder gives the features of the chip and of its mirror, in one run where the
  model takes a batch.
- Two rows that aren't of the stated length are refused when the pack is opened.
"""

from pathlib import Path

import numpy as np

from edge.errors import PackError
from edge.models.detection import Points, Rgb, Scheme
from edge.models.geometry import ARCFACE_SIDE, CHIP_SIDE, cut_arcface, cut_chip
from edge.models.kernels import fill_planes
from edge.models.manifest import Parameters
from edge.models.sessions import Runner, as_pixels
from edge.models.view import Features


class DlibEmbedder:
    """dlib's network, converted: takes pixels and mirrors them itself."""

    scheme: Scheme = "dlib5"
    side = CHIP_SIDE

    def __init__(self, path: Path, parameters: Parameters, threads: int = 1) -> None:
        """Load the network.

        Raises:
            PackError: It isn't of the form.
        """
        self._runner = Runner(path, threads)
        shape = self._runner.input_shape
        if self._runner.input_type != "tensor(uint8)" or shape[1:] != (self.side, self.side, 3):
            raise PackError(f"{path.name}: a uint8 input (n, {self.side}, {self.side}, 3) was "
                            f"expected, it has {self._runner.input_type} {shape}")
        assert parameters.mirror_range is not None
        self.mirror_range = parameters.mirror_range

    def cut(self, rgb: Rgb, points: Points) -> Rgb:
        """Cut the aligned chip, (150, 150, 3)."""
        return cut_chip(rgb, points)

    def embed(self, chip: Rgb) -> tuple[Features, float]:
        """Give features of the chip and of its mirror, (2, 128), and the runtime's seconds."""
        return self._runner.run(as_pixels(chip))


class ArcfaceEmbedder:
    """ArcFace and SFace: planes of 112 pixels; they differ in mean and deviation only."""

    scheme: Scheme = "arcface5"
    side = ARCFACE_SIDE

    def __init__(self, path: Path, parameters: Parameters, threads: int = 1) -> None:
        """Load the network.

        Raises:
            PackError: It isn't of the form.
        """
        self._runner = Runner(path, threads)
        shape = self._runner.input_shape
        sides = [side for side in shape[2:] if isinstance(side, int)]
        if (self._runner.input_type != "tensor(float)" or len(shape) != 4
                or shape[1] not in (3, None) or any(side != self.side for side in sides)):
            raise PackError(f"{path.name}: a float32 input (n, 3, {self.side}, {self.side}) was "
                            f"expected, it has {self._runner.input_type} {shape}")
        given = parameters
        assert given.mean is not None and given.std is not None and given.mirror_range is not None
        self._mean, self._gain = given.mean, 1.0 / given.std
        self._swap = given.colour == "bgr"
        self._batched = not isinstance(shape[0], int) or shape[0] == 2
        self.mirror_range = given.mirror_range

    def cut(self, rgb: Rgb, points: Points) -> Rgb:
        """Cut the aligned chip, (112, 112, 3)."""
        return cut_arcface(rgb, points)

    def embed(self, chip: Rgb) -> tuple[Features, float]:
        """Give features of the chip and of its mirror, (2, d), and the runtime's seconds."""
        planes = np.empty((2, 3, self.side, self.side), np.float32)
        for turn in (0, 1):
            fill_planes(chip, planes[turn], self._mean, self._gain, self._swap, bool(turn))
        if self._batched:
            return self._runner.run(planes)
        one, seconds = self._runner.run(planes[:1])
        other, more = self._runner.run(planes[1:])
        return np.concatenate([one, other]), seconds + more
