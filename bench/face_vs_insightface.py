"""`face-vs-insightface`: SCRFD's decoding, suppression and ArcFace's alignment, ours and theirs.

- The same tensors and picture for both; boxes, scores and points must be equal, and chips
  but for rounding.
- The tensors are drawn: scores fall off around each face as SCRFD's do, and boxes scatter.
- With `--pack DIR` the whole path is compared instead (bench.face_whole_path), on drawn captures;
  with `--photos PATH` on photographs (bench.face_photos).
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.face_photos import drawn_captures, find_photos
from bench.face_whole_path import ROUNDS_MAX, compare_whole_paths
from bench.harness import Result, interleave
from edge.models.geometry import cut_arcface
from edge.models.grid.detector import scrfd_rows
from edge.models.grid.kernels import suppress_overlap

NAME = "face-vs-insightface"
SIDE = 640
STRIDES = (8, 16, 32)
FACES = (1, 1, 1, 2, 6)
"""Faces in the pictures: mostly one, as at a gate."""
ROUNDS, SMALL_ROUNDS = 200, 5
PHOTOS, SMALL_PHOTOS = 2_000, 24
LOOKS = 600
"""At photographs, at least, as far as `ROUNDS_MAX` allows."""
SCORE_MIN, OVERLAP_MAX = 0.5, 0.4
CHIP_DIFFERS_MAX = 0.02
"""Share of a chip's values that may differ by rounding."""

Floats = npt.NDArray[np.float32]


def run(small: bool) -> Result:
    """Measure on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        return _run(SMALL_ROUNDS if small else ROUNDS)
    finally:
        os.sched_setaffinity(0, before)


def run_pack(small: bool, folder: Path) -> Result:
    """Compare the whole paths with a pack of SCRFD and ArcFace files."""
    captures = drawn_captures(SMALL_ROUNDS if small else ROUNDS // 4)
    return compare_whole_paths(NAME, folder, captures, rounds=1)


def run_photos(small: bool, folder: Path, photos: Path) -> Result:
    """Compare the whole paths on photographs; few are looked at several times."""
    chosen = find_photos(photos, SMALL_PHOTOS if small else PHOTOS)
    rounds = 1 if small else min(ROUNDS_MAX, max(1, LOOKS // len(chosen.pictures)))
    return compare_whole_paths(NAME, folder, chosen, rounds)


def _run(rounds: int) -> Result:
    from insightface.utils.face_align import norm_crop

    warnings.simplefilter("ignore", FutureWarning)
    rng = np.random.default_rng(20)
    scenes = [_draw_tensors(rng, count) for count in FACES]
    picture = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    detectors = [_their_detector(tensors) for tensors in scenes]

    def theirs() -> list[tuple[Any, Any]]:
        """Give boxes and chips of each scene."""
        found = []
        for detector in detectors:
            boxes, points = _their_rows(detector, picture)
            found.append((boxes, [norm_crop(picture, five) for five in points]))
        return found

    def ours() -> list[tuple[Floats, list[npt.NDArray[np.uint8]]]]:
        """Give rows and chips of each scene."""
        found = []
        for tensors in scenes:
            rows = _our_rows(tensors)
            chips = [cut_arcface(picture, row[5:].reshape(5, 2)) for row in rows]
            found.append((rows, chips))
        return found

    unequal = sum(not _equal(one, other) for one, other in zip(ours(), theirs(), strict=True))
    mine, other = interleave(ours, theirs, rounds, per_round=len(scenes))
    alone, other_alone = interleave(
        lambda: [_our_rows(tensors) for tensors in scenes],
        lambda: [_their_rows(detector, picture) for detector in detectors],
        rounds, per_round=len(scenes),
    )
    return Result(
        measure=NAME, ours=round(mine * 1e3, 4), theirs=round(other * 1e3, 4), unit="ms",
        ratio=round(mine / other, 3),
        against="InsightFace's SCRFD.forward, detect's sorting, nms and norm_crop",
        n=rounds * len(scenes),
        settings={"input": SIDE, "faces": list(FACES), "unequal": unequal,
                  "without_alignment": round(alone / other_alone, 3), "cores": 1},
        valid=unequal == 0, why=f"{unequal} scenes give other results" if unequal else "",
    )


def _our_rows(tensors: Sequence[Floats]) -> Floats:
    rows = scrfd_rows(tensors, SIDE, SCORE_MIN, 1.0)
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    return rows[suppress_overlap(rows, OVERLAP_MAX, 1.0)]


def _their_rows(detector: Any, picture: npt.NDArray[np.uint8]) -> tuple[Any, Any]:  # noqa: ANN401
    """Go through `forward` and `nms`; the lines between are those of SCRFD.detect."""
    score_lists, box_lists, point_lists = detector.forward(picture, SCORE_MIN)
    scores = np.vstack(score_lists)
    order = np.argsort(-scores.ravel(), kind="stable")
    boxes = np.vstack(box_lists) / 1.0
    points = np.vstack(point_lists) / 1.0
    before = np.hstack((boxes, scores)).astype(np.float32, copy=False)[order, :]
    points = points[order, :, :]
    keep = detector.nms(before)
    return before[keep, :], points[keep, :, :]


def _equal(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    rows, chips = one
    boxes, their_chips = other
    return (
        np.array_equal(rows[:, :5], boxes) and len(chips) == len(their_chips)
        and all((mine != theirs).mean() <= CHIP_DIFFERS_MAX
                for mine, theirs in zip(chips, their_chips, strict=True))
    )


def _draw_tensors(rng: np.random.Generator, faces: int) -> list[Floats]:
    """Draw what SCRFD might say of a picture with so many faces, 3D as its files have it."""
    spots = rng.uniform(120, SIDE - 120, (faces, 2))
    sizes = rng.uniform(60, 200, faces)
    tensors: list[list[Floats]] = [[], [], []]
    for stride in STRIDES:
        count = SIDE // stride
        cell = np.arange(count * count * 2) // 2
        at = np.stack([cell % count, cell // count], axis=1) * stride
        scores = rng.uniform(0.0, 0.2, len(cell))
        boxes = rng.uniform(0.5, 3.0, (len(cell), 4))
        points = rng.normal(0.0, 1.0, (len(cell), 10))
        for spot, size in zip(spots, sizes, strict=True):
            away = np.hypot(*(at - spot).T) / size
            near = np.exp(-4.0 * away) * rng.uniform(0.7, 1.0, len(cell))
            taken = near > scores
            scores[taken] = near[taken]
            half = size / 2 + rng.normal(0.0, size * 0.02, (len(cell), 4))
            from_cell = np.hstack([at - spot, spot - at])
            boxes[taken] = ((half + from_cell) / stride)[taken]
            shape = np.array([-0.2, -0.15, 0.2, -0.15, 0.0, 0.05, -0.15, 0.2, 0.15, 0.2]) * size
            points[taken] = ((np.tile(spot - at, 5) + shape) / stride)[taken]
        for kind, values in enumerate((scores[:, None], boxes, points)):
            tensors[kind].append(values[None].astype(np.float32))
    return [tensor for kind in tensors for tensor in kind]


class _Recorded:
    """Stands for a session: gives the same tensors whatever it is asked."""

    def __init__(self, tensors: Sequence[Floats]) -> None:
        self._tensors = list(tensors)

    def get_inputs(self) -> list[Any]:
        """Say what it takes, as a session does."""
        return [_Value("input", [1, 3, "height", "width"])]

    def get_outputs(self) -> list[Any]:
        """Say what it gives, as a session does."""
        return [_Value(str(index), list(tensor.shape))
                for index, tensor in enumerate(self._tensors)]

    def run(self, _: object, __: object) -> list[Floats]:
        """Give the tensors."""
        return self._tensors


class _Value:
    def __init__(self, name: str, shape: list[Any]) -> None:
        self.name, self.shape, self.type = name, shape, "tensor(float)"


def _their_detector(tensors: Sequence[Floats]) -> Any:  # noqa: ANN401
    """Build InsightFace's detector over recorded tensors; its input's making isn't measured."""
    from insightface.model_zoo.scrfd import SCRFD

    detector = SCRFD(session=_Recorded(tensors), static_shape_sessions=False)
    blob = np.zeros((1, 3, SIDE, SIDE), np.float32)
    detector._prepare_input_blob = lambda *_: blob
    return detector
