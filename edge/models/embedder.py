"""Embedders by form: how a face is cut and its chip turned into features.

- Every embedder gives the features of the chip and of its mirror, in one run where the
  model allows it.
"""

from pathlib import Path

from edge.models.detection import Points, Rgb, Scheme
from edge.models.geometry import CHIP_SIDE, cut_chip
from edge.models.sessions import Runner, as_pixels
from edge.models.view import Features


class DlibEmbedder:
    """dlib's network, converted: takes pixels and mirrors them itself."""

    scheme: Scheme = "dlib5"
    mirror_range = (0.90, 0.98)
    side = CHIP_SIDE

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Load the network.

        Raises:
            PackError: It can't be loaded.
        """
        self._runner = Runner(path, threads)

    def cut(self, rgb: Rgb, points: Points) -> Rgb:
        """Cut the aligned chip, (150, 150, 3)."""
        return cut_chip(rgb, points)

    def embed(self, chip: Rgb) -> tuple[Features, float]:
        """Give features of the chip and of its mirror, (2, 128), and the runtime's seconds."""
        return self._runner.run(as_pixels(chip))
