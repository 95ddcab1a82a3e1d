"""SCRFD and YuNet: picture → tensor → rows → faces with five points.

- Input sides are whole multiples of 32; the picture lies in the upper left, the rest is
  black, as both were trained.
- A model with a fixed input is searched once, at its own size.
- Where a large face is sought again, the strides that are too fine for it aren't computed.
- The order of the points is the model's: both give the eye on the picture's left first.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import PackError
from edge.models.detection import Face, Rgb, fit
from edge.models.grid.kernels import ROW, decode_scrfd, decode_yunet, suppress_overlap
from edge.models.kernels import fill_planes
from edge.models.manifest import Parameters
from edge.models.sessions import Runner

STRIDES = (8, 16, 32)
GRAIN = 32
ANCHORS = 2
"""Entries a cell of SCRFD with three strides."""
ROWS_MAX = 2_048
"""Candidates kept before suppression; a model that fires everywhere finds nothing more."""
FACES_MAX = 64
SUSPECT_SHARE = 0.7
"""From this share of the smallest score on somebody may be there."""
STRIDE_REACH = 13
"""A face of more strides is found at the next coarser one. YuNet's cells fired for faces of at
most 10 strides (538 pictures); SCRFD's anchors are of up to 8, and of 16 at the coarsest."""
_TRIAL_SIDE = 64

Floats = npt.NDArray[np.float32]
Tensors = Sequence[Floats]
Strides = Sequence[int]
Decoder = Callable[[Tensors, int, float, float, Strides], Floats]
"""(tensors, width of the input, smallest score, scale, their strides) → rows."""


class _Part(msgspec.Struct, frozen=True):
    """A model and the strides it computes; `order` says where the decoder's tensors are."""

    strides: Strides
    runner: Runner
    order: Sequence[int]


class GridDetector:
    """A loaded SCRFD or YuNet."""

    def __init__(
        self, path: Path, parameters: Parameters, decode: Decoder, *, grown: float,
        threads: int = 1,
    ) -> None:
        """Load a model.

        Args:
            path: Of the file.
            parameters: Complete.
            decode: How its tensors are read; they are ordered as `decode` wants them.
            grown: Added to widths and heights in suppression.
            threads: Of one inference.

        Raises:
            PackError: It isn't of the form.
        """
        self._path, self._threads = path, threads
        self._runner = Runner(path, threads)
        self._parts: list[_Part] = []
        self._decode, self._grown = decode, grown
        given = parameters
        assert given.mean is not None and given.std is not None
        assert given.score_min is not None and given.overlap_max is not None
        assert given.search_sides and given.enough_px is not None
        self._mean, self._gain = given.mean, 1.0 / given.std
        self._swap = given.colour == "bgr"
        self._score_min, self._overlap_max = given.score_min, given.overlap_max
        self._order: Sequence[int] = range(len(self._runner.outputs))
        self._fixed = _fixed_size(self._runner)
        self.search_sides = (max(self._fixed),) if self._fixed else given.search_sides
        self.enough_px = given.enough_px
        self.refine_side = 0 if self._fixed else given.refine_side or 0
        self.has_points = True

    def _try(self, widths: Sequence[int], entries: int) -> None:
        """Run once and hold the tensors against the form; then take it apart by strides.

        Args:
            widths: Values an entry, tensor by tensor in the decoder's order.
            entries: Of a cell.

        Raises:
            PackError: A tensor is of another size, or its values aren't numbers.
        """
        wide, tall = self._fixed or (_TRIAL_SIDE, _TRIAL_SIDE)
        outputs = self._runner.trial(np.zeros((1, 3, tall, wide), np.float32))
        for place, width in enumerate(widths):
            stride = STRIDES[place % len(STRIDES)]
            size = (wide // stride) * (tall // stride) * entries * width
            found = outputs[self._order[place]]
            if found.size != size or found.dtype != np.float32:
                raise PackError(f"{self._runner.name}: output {place} of {found.dtype} "
                                f"{found.shape} doesn't fit stride {stride}")
        self._parts = [_Part(STRIDES, self._runner, self._order)]
        if self.refine_side:
            # Now, not at the first large face: it would wait for it, 0.1 s with a model of 16 MB.
            self._parts += [self._coarser(skipped) for skipped in range(1, len(STRIDES))]

    def _coarser(self, skipped: int) -> _Part:
        """Load the model again without its finest strides."""
        names = list(self._runner.outputs)
        kept = [names[index] for place, index in enumerate(self._order)
                if place % len(STRIDES) >= skipped]
        runner = Runner(self._path, self._threads, kept)
        runner.trial(np.zeros((1, 3, _TRIAL_SIDE, _TRIAL_SIDE), np.float32))
        return _Part(STRIDES[skipped:], runner, range(len(kept)))

    def _part(self, face_px: float) -> _Part:
        """Give what a face of such a side is found with."""
        skipped = sum(face_px > STRIDE_REACH * stride for stride in STRIDES[:-1])
        return self._parts[min(skipped, len(self._parts) - 1)]

    def detect(
        self, rgb: Rgb, long_side: int, face_px: float = 0.0
    ) -> tuple[list[Face], float]:
        """Find faces with the picture scaled to a long side, never enlarged."""
        faces, _, seconds = self._look(rgb, long_side, self._part(face_px))
        return faces, seconds

    def look(self, rgb: Rgb, long_side: int) -> tuple[list[Face], list[Face], float]:
        """Find faces, and those only suspected."""
        return self._look(rgb, long_side, self._parts[0])

    def _look(
        self, rgb: Rgb, long_side: int, part: _Part
    ) -> tuple[list[Face], list[Face], float]:
        picture, size, scale = self._scaled(rgb, long_side)
        planes = np.empty((1, 3, size[1], size[0]), np.float32)
        fill_planes(picture, planes[0], self._mean, self._gain, self._swap, False)
        outputs, seconds = part.runner.run_all(planes)
        tensors = [outputs[index] for index in part.order]
        rows = self.rows(tensors, size[0], scale, SUSPECT_SHARE * self._score_min, part.strides)
        found = [_face(row, self.has_points) for row in rows[:FACES_MAX]]
        sure = int((rows[:FACES_MAX, 4] >= np.float32(self._score_min)).sum())
        return found[:sure], found[sure:], seconds

    def rows(
        self, tensors: Tensors, width: int, scale: float, score_min: float,
        strides: Strides = STRIDES,
    ) -> Floats:
        """Give the faces in a model's tensors, (n, 15), best first, in pixels of the picture.

        Args:
            tensors: In the decoder's order.
            width: Of the model's input.
            scale: Pixels of the model's input a pixel of the picture.
            score_min: Smaller scores are left out; they never suppress others.
            strides: Of the tensors.
        """
        rows = self._decode(tensors, width, score_min, scale, strides)
        rows = rows[np.argsort(-rows[:, 4], kind="stable")]
        return rows[suppress_overlap(rows, self._overlap_max, self._grown)]

    def _scaled(self, rgb: Rgb, long_side: int) -> tuple[Rgb, tuple[int, int], float]:
        """Give the scaled picture, the input's width and height, and the scale."""
        height, width = rgb.shape[:2]
        room = self._fixed or (min(long_side, max(width, height)),) * 2
        wide, tall = fit(width, height, room)
        size = self._fixed or (_up(wide), _up(tall))
        if (wide, tall) != (width, height):
            small = cv2.resize(rgb, (wide, tall), interpolation=cv2.INTER_LINEAR)
            return np.asarray(small, np.uint8), size, tall / height
        return rgb, size, 1.0


class ScrfdDetector(GridDetector):
    """InsightFace's detector: nine tensors (six without points), three strides."""

    def __init__(self, path: Path, parameters: Parameters, threads: int = 1) -> None:
        """Load a model.

        Raises:
            PackError: It isn't of the form.
        """
        super().__init__(path, parameters, scrfd_rows, grown=1.0, threads=threads)
        shapes = list(self._runner.outputs.values())
        widths = [1] * 3 + [4] * 3 + [10] * 3
        if len(shapes) not in (6, 9) or any(
            len(shape) not in (2, 3) or (isinstance(shape[-1], int) and shape[-1] != width)
            for shape, width in zip(shapes, widths, strict=False)
        ):
            raise PackError(f"{path.name} isn't SCRFD with three strides: outputs {shapes}")
        self.has_points = len(shapes) == 9
        self._try(widths[: len(shapes)], ANCHORS)


class YunetDetector(GridDetector):
    """OpenCV Zoo's detector: twelve tensors by name, three strides."""

    def __init__(self, path: Path, parameters: Parameters, threads: int = 1) -> None:
        """Load a model.

        Raises:
            PackError: It isn't of the form.
        """
        super().__init__(path, parameters, yunet_rows, grown=0.0, threads=threads)
        names = list(self._runner.outputs)
        wanted = [f"{part}_{stride}" for part in ("cls", "obj", "bbox", "kps")
                  for stride in STRIDES]
        if sorted(names) != sorted(wanted):
            raise PackError(f"{path.name} isn't YuNet: outputs {', '.join(names)}")
        self._order = [names.index(name) for name in wanted]
        self._try([1] * 6 + [4] * 3 + [10] * 3, 1)


def scrfd_rows(
    tensors: Tensors, width: int, score_min: float, scale: float, strides: Strides = STRIDES
) -> Floats:
    """Read SCRFD's tensors, a stride each: of scores, then boxes, then points or none."""
    rows = np.empty((ROWS_MAX, ROW), np.float32)
    count, each = 0, len(strides)
    none = np.empty((0, 10), np.float32)
    for index, stride in enumerate(strides):
        points = tensors[index + 2 * each].reshape(-1, 10) if len(tensors) > 2 * each else none
        count = decode_scrfd(
            tensors[index].reshape(-1), tensors[index + each].reshape(-1, 4), points, stride,
            width // stride, ANCHORS, score_min, scale, rows, count,
        )
    return rows[:count]


def yunet_rows(
    tensors: Tensors, width: int, score_min: float, scale: float, strides: Strides = STRIDES
) -> Floats:
    """Read YuNet's tensors, a stride each: of classes, then objects, boxes and points."""
    rows = np.empty((ROWS_MAX, ROW), np.float32)
    count, each = 0, len(strides)
    for index, stride in enumerate(strides):
        count = decode_yunet(
            tensors[index].reshape(-1), tensors[index + each].reshape(-1),
            tensors[index + 2 * each].reshape(-1, 4), tensors[index + 3 * each].reshape(-1, 10),
            stride,
            width // stride, score_min, scale, rows, count,
        )
    return rows[:count]


def _fixed_size(runner: Runner) -> tuple[int, int] | None:
    """Give the width and height of a fixed input, None if any size goes."""
    shape = runner.input_shape
    if runner.input_type != "tensor(float)" or len(shape) != 4 or shape[1] not in (3, None):
        raise PackError(f"{runner.name}: a float32 input (n, 3, height, width) was expected, "
                        f"it has {runner.input_type} {shape}")
    height, width = shape[2:]
    if not isinstance(height, int) or not isinstance(width, int):
        return None
    if height % GRAIN or width % GRAIN:
        raise PackError(f"{runner.name}: its input {width}×{height} is no multiple of {GRAIN}")
    return width, height


def _up(side: int) -> int:
    return -(-side // GRAIN) * GRAIN


def _face(row: Floats, has_points: bool) -> Face:
    left, top, right, bottom, score = (float(value) for value in row[:5])
    points = row[5:].reshape(5, 2).copy() if has_points else None
    return Face(left, top, right, bottom, score, points)
