"""The mmod detector: a scan of windows of 80 pixels over a small pyramid.

- Input is a picture at the scale to search; faces smaller than a window aren't seen.
- A cell's centre is at 8c + 14 input pixels; a score above zero is a face (dlib).
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import PackError
from edge.models.detection import Face, Rgb
from edge.models.kernels import suppress
from edge.models.manifest import Parameters
from edge.models.sessions import Runner, as_pixels

WINDOW = 80
STRIDE = 8
OFFSET = 14
RATE = 0.7
SIDE_MIN = 72
OVERLAP_MAX = 0.3382761351109955
FACES_MAX = 64
BYSTANDER_RATIO = 0.5
"""Faces smaller than this share of the largest may be left out: nobody asks for them."""
NEXT_SMALLER = 1.25
"""A level's windows find faces up to so many times their own size."""


class MmodDetector:
    """Finds faces with the converted network."""

    has_points = False

    def __init__(self, path: Path, parameters: Parameters, threads: int = 1) -> None:
        """Load the network.

        Raises:
            PackError: It isn't of the form.
        """
        self._runner = Runner(path, threads)
        shape = self._runner.input_shape
        if (self._runner.input_type != "tensor(uint8)" or len(shape) != 4 or shape[3] != 3
                or isinstance(shape[1], int) or isinstance(shape[2], int)):
            raise PackError(f"{path.name}: a uint8 input (n, height, width, 3) of any size was "
                            f"expected, it has {self._runner.input_type} {shape}")
        self._runner.trial(np.zeros((1, SIDE_MIN, SIDE_MIN, 3), np.uint8))
        given = parameters
        assert given.search_sides and given.enough_px is not None
        self.search_sides, self.enough_px = given.search_sides, given.enough_px
        self.refine_side = given.refine_side or 0

    def detect(
        self, rgb: Rgb, long_side: int, face_px: float = 0.0,  # noqa: ARG002
    ) -> tuple[list[Face], float]:
        """Find faces with the picture scaled to a long side.

        Args:
            rgb: uint8, shape (height, width, 3).
            long_side: Pixels of the searched picture's long side; never enlarged.
            face_px: Means nothing here: large levels are left out anyhow.

        Returns:
            Faces, best first, in pixels of `rgb`; and the seconds the runtime took.
        """
        rows: list[npt.NDArray[np.float32]] = []
        seconds = largest = 0.0
        for level in reversed(_pyramid(rgb, long_side)):
            scale = level.shape[1] / rgb.shape[1]
            if NEXT_SMALLER * WINDOW / scale < BYSTANDER_RATIO * largest:
                break
            scores, took = self._runner.run(as_pixels(level))
            seconds += took
            rows.append(_boxes(scores[0, 0], scale))
            largest = max([largest, *(rows[-1][:, 2] - rows[-1][:, 0])])
        found = np.concatenate(rows) if rows else np.zeros((0, 5), np.float32)
        best = found[np.argsort(-found[:, 4], kind="stable")][: FACES_MAX * 8]
        kept = suppress(np.ascontiguousarray(best[:, :4]), OVERLAP_MAX)[:FACES_MAX]
        return [_voted(best, best[index]) for index in kept], seconds

    def look(self, rgb: Rgb, long_side: int) -> tuple[list[Face], list[Face], float]:
        """Find faces; nobody is suspected, since scores below zero aren't read."""
        faces, seconds = self.detect(rgb, long_side)
        return faces, [], seconds


def _voted(found: npt.NDArray[np.float32], box: npt.NDArray[np.float32]) -> Face:
    """Give the mean of all boxes around a kept one, weighted by score.

    A pyramid this coarse offers few sizes; the neighbours of the best cell say where between
    them the face is, which the landmarks need.
    """
    wide = np.minimum(found[:, 2], box[2]) - np.maximum(found[:, 0], box[0])
    tall = np.minimum(found[:, 3], box[3]) - np.maximum(found[:, 1], box[1])
    around = (np.maximum(found[:, 2], box[2]) - np.minimum(found[:, 0], box[0])) * (
        np.maximum(found[:, 3], box[3]) - np.minimum(found[:, 1], box[1])
    )
    near = (wide > 0) & (tall > 0) & (wide * tall > OVERLAP_MAX * around)
    mean = np.average(found[near, :4], axis=0, weights=found[near, 4])
    left, top, right, bottom = (float(value) for value in mean)
    return Face(left, top, right, bottom, float(box[4]))


def _pyramid(rgb: Rgb, long_side: int) -> list[Rgb]:
    scale = min(1.0, long_side / max(rgb.shape[:2]))
    level = rgb if scale == 1.0 else _scaled(rgb, rgb, scale)
    levels = []
    while min(level.shape[:2]) >= SIDE_MIN:
        levels.append(level)
        scale *= RATE
        level = _scaled(level, rgb, scale)
    return levels


def _scaled(source: Rgb, original: Rgb, scale: float) -> Rgb:
    size = (max(1, round(original.shape[1] * scale)), max(1, round(original.shape[0] * scale)))
    # From one level to the next nothing is skipped by a linear blend, which is far faster.
    near = size[0] * 1.5 > source.shape[1]
    kind = cv2.INTER_LINEAR if near else cv2.INTER_AREA
    return np.asarray(cv2.resize(source, size, interpolation=kind), np.uint8)


def _boxes(scores: npt.NDArray[np.float32], scale: float) -> npt.NDArray[np.float32]:
    """Turn a score map into boxes of the original picture; rows of box and score."""
    ys, xs = np.nonzero(scores > 0.0)
    left = (xs * STRIDE + OFFSET - WINDOW / 2) / scale
    top = (ys * STRIDE + OFFSET - WINDOW / 2) / scale
    size = (WINDOW - 1) / scale
    return np.stack([left, top, left + size, top + size, scores[ys, xs]], axis=1).astype(np.float32)
