"""Embedders by form: how a face is cut and its chip turned into features.

- Chip and mirror go in one run where the model takes a batch.
- Rows that aren't of the stated length are refused when the pack is opened.
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
        self.mirror_range, self.mirror = parameters.mirror_range, True

    def cut(self, rgb: Rgb, points: Points) -> Rgb:
        """Cut the aligned chip, (150, 150, 3)."""
        return cut_chip(rgb, points)

    def embed(self, chip: Rgb, *, mirror: bool) -> tuple[Features, float]:  # noqa: ARG002
        """Give features of the chip and of its mirror, (2, 128): the graph has both."""
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
        wanted = (1, 3, self.side, self.side)
        if self._runner.input_type != "tensor(float)" or len(shape) != 4 or any(
            isinstance(size, int) and size != want
            for size, want in zip(shape, wanted, strict=True)
        ):
            raise PackError(f"{path.name}: a float32 input (1 or n, 3, {self.side}, {self.side}) "
                            f"was expected, it has {self._runner.input_type} {shape}")
        given = parameters
        assert given.mean is not None and given.std is not None and given.mirror_range is not None
        self._mean, self._gain = given.mean, 1.0 / given.std
        self._swap = given.colour == "bgr"
        self._batched = not isinstance(shape[0], int)
        self.mirror_range, self.mirror = given.mirror_range, bool(given.mirror)

    def cut(self, rgb: Rgb, points: Points) -> Rgb:
        """Cut the aligned chip, (112, 112, 3)."""
        return cut_arcface(rgb, points)

    def embed(self, chip: Rgb, *, mirror: bool) -> tuple[Features, float]:
        """Give features of the chip, and of its mirror where asked; and the runtime's seconds."""
        planes = np.empty((2 if mirror else 1, 3, self.side, self.side), np.float32)
        for turn in range(len(planes)):
            fill_planes(chip, planes[turn], self._mean, self._gain, self._swap, bool(turn))
        if self._batched or len(planes) == 1:
            return self._runner.run(planes)
        one, seconds = self._runner.run(planes[:1])
        other, more = self._runner.run(planes[1:])
        return np.concatenate([one, other]), seconds + more
