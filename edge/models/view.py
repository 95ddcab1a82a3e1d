"""One encoded frame becomes the view of its one face, or why there is none.

- The chip is cut from the full capture, whatever scale the face was found at.
- Knows no form of model: detector, landmarks, embedder and PAD are given to it.
- Not here: several frames together (edge.models.burst).
"""

import time
from typing import Protocol

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from edge.hotpath.holder import ProbeFault
from edge.hotpath.reasons import Reason
from edge.imaging import ImageLimits, decode_rgb
from edge.models.detection import Detector, Face, Points, Rgb, Scheme
from edge.models.quality import Floors, first_below, judge_darkness, judge_view, unify
from edge.models.search import find_only_face

DECODE_SIDE_MIN = 1_280
THUMB_SIDE = 64
THUMB_MARGIN = 0.25
"""How far a thumb reaches beyond the box, in sides of the box."""
TURNED_MARGIN = 1.0
"""How far the piece reaches beyond the box that is turned to see whether a face lies."""
TURNED_GAIN = 0.1
"""How much more like its mirror image a face must be once it is turned, in shares of the pack's
range. Of 80 photographs, blurred, dark, turned to the side and tilted by up to 45°, none was; of
those laid on a side 97 % were."""
TIMINGS = ("decode", "detect", "align", "embed", "session_run")

Features = npt.NDArray[np.float32]


class FrameView(msgspec.Struct, frozen=True, kw_only=True):
    """One frame's one face.

    Attributes:
        box: Where it is, in pixels of the decoded picture.
        points: Shape (5, 2), in the same pixels.
        scheme: Which points they are.
        width, height: Of the decoded picture.
        features: Of length 1, the mean of the face's and its mirror's; shape (d,).
        components: Quality components by name, each 0 to 1.
        quality: Unified quality, 0 to 1.
        thumb: Grey of the face and its surroundings, uint8, shape (64, 64); None in a capture of
            one frame, which has nothing to hold it against.
        window: What the thumb shows: left, top, right, bottom in pixels, the end exclusive.
        live: Probability of a bona fide face by the pack's PAD, None if it has none.
    """

    box: Face
    points: Points
    scheme: Scheme
    width: int
    height: int
    features: Features
    components: dict[str, float]
    quality: float
    thumb: npt.NDArray[np.uint8] | None
    window: tuple[int, int, int, int]
    live: float | None = None


class LandmarkModel(Protocol):
    """Finds the points of a face."""

    scheme: Scheme

    def predict(self, rgb: Rgb, face: Face) -> Points:
        """Give the points in pixels."""


class EmbedderModel(Protocol):
    """Turns points into a chip, and the chip into features.

    Attributes:
        mirror: Whether a capture's mirror image is embedded, too.
    """

    scheme: Scheme
    mirror: bool
    mirror_range: tuple[float, float]
    side: int

    def cut(self, rgb: Rgb, points: Points) -> Rgb:
        """Cut the aligned chip."""

    def embed(self, chip: Rgb, *, mirror: bool) -> tuple[Features, float]:
        """Give features of the chip, and of its mirror where asked; and the runtime's seconds.

        Returns:
            Shape (2, d), or (1, d) without the mirror.
        """


class PadModel(Protocol):
    """Tells a face from its picture: one whose score is at least `live_min`."""

    live_min: float

    def score(self, rgb: Rgb, box: Face, points: Points, scheme: Scheme) -> float | None:
        """Give the probability of a bona fide face, 0 to 1, None where it can't be judged."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The models of a pack.

    Attributes:
        landmarks: None where the detector's own points serve.
    """

    detector: Detector
    landmarks: LandmarkModel | None
    embedder: EmbedderModel
    pad: PadModel | None


def view_frame(
    image: bytes, limits: ImageLimits, parts: Parts, floors: Floors | None,
    timings: dict[str, float], *, mirror: bool, burst: bool,
) -> FrameView | ProbeFault:
    """Go from one encoded frame to its one face's features.

    Args:
        image, limits, parts: What to look at, its bounds, and the models to look with.
        floors: Quality floors; None = a poor face is viewed all the same.
        timings: By name (`TIMINGS`), added to, milliseconds.
        mirror: Whether the mirror image is embedded even where the pack leaves it out.
        burst: Whether there are more frames to hold this one against.

    Raises:
        ImageError: Not an image we read, damaged, or beyond the bounds.
    """
    start = time.perf_counter()
    rgb = decode_rgb(image, limits, DECODE_SIDE_MIN)
    decoded = time.perf_counter()
    timings["decode"] += (decoded - start) * 1e3
    face, seconds = find_only_face(rgb, parts.detector)
    timings["session_run"] += seconds * 1e3
    detected = time.perf_counter()
    timings["detect"] += (detected - decoded) * 1e3
    if isinstance(face, ProbeFault):
        absent = face.reason is Reason.FACE_ABSENT
        return ProbeFault(face.reason, judge_darkness(rgb) or "unseen") if absent else face
    points = parts.landmarks.predict(rgb, face) if parts.landmarks else face.points
    assert points is not None  # the engine refuses packs that would give none
    chip = parts.embedder.cut(rgb, points)
    aligned = time.perf_counter()
    timings["align"] += (aligned - detected) * 1e3
    rows, seconds = _embedded(chip, parts.embedder, mirror=mirror)
    timings["session_run"] += seconds * 1e3
    on_its_side, seconds = _lies_on_its_side(rgb, face, rows, parts)
    timings["session_run"] += seconds * 1e3
    view = (ProbeFault(Reason.FACE_QUALITY_LOW, "on_its_side") if on_its_side
            else _judge(rgb, face, points, chip, rows, parts, floors, burst=burst))
    timings["embed"] += (time.perf_counter() - aligned) * 1e3
    return view


def _judge(
    rgb: Rgb, face: Face, points: Points, chip: Rgb, rows: Features, parts: Parts,
    floors: Floors | None, *, burst: bool,
) -> FrameView | ProbeFault:
    """Judge the quality of a face whose features are there, and its PAD score."""
    if not np.isfinite(rows).all():
        return ProbeFault(Reason.FACE_QUALITY_LOW, "mirror")
    scheme = parts.embedder.scheme
    components = judge_view(chip, points, scheme, rgb.shape[:2], float(rows[0] @ rows[-1]),
                            parts.embedder.mirror_range)
    if len(rows) == 1:
        del components["mirror"]
    if floors and (weak := first_below(components, floors)):
        return ProbeFault(Reason.FACE_QUALITY_LOW, weak)
    both = rows.sum(axis=0)
    window = _window(rgb, face)
    return FrameView(
        box=face, points=points, scheme=scheme, width=rgb.shape[1], height=rgb.shape[0],
        features=both / np.linalg.norm(both), components=components,
        quality=unify(components), window=window,
        thumb=_thumb(rgb, window) if burst else None,
        live=parts.pad.score(rgb, face, points, scheme) if parts.pad else None,
    )


def _embedded(chip: Rgb, embedder: EmbedderModel, *, mirror: bool) -> tuple[Features, float]:
    """Give features of length 1, of the chip and maybe its mirror, and the runtime's seconds."""
    output, seconds = embedder.embed(chip, mirror=mirror or embedder.mirror)
    return output / np.linalg.norm(output, axis=1, keepdims=True), seconds


def _lies_on_its_side(
    rgb: Rgb, face: Face, rows: Features, parts: Parts
) -> tuple[bool, float]:
    """Tell whether a face is one only once the picture is turned; and the runtime's seconds.

    Landmarks sought in an upright box find some in a face that lies, and what is cut by them
    looks like nobody. Such a chip isn't like its mirror image, the face turned upright is.
    """
    nothing, full = parts.embedder.mirror_range
    cosine, spent = float(rows[0] @ rows[-1]), 0.0
    if parts.landmarks is None or not cosine < full:
        return False, spent
    left, top, right, bottom = _window(rgb, face, TURNED_MARGIN)
    from_left, to_right = face.left - left, right - 1 - face.right
    from_top, to_bottom = face.top - top, bottom - 1 - face.bottom
    for turns, x, y in ((1, from_top, to_right), (-1, to_bottom, from_left)):
        turned = np.ascontiguousarray(np.rot90(rgb[top:bottom, left:right], turns))
        box = Face(x, y, x + face.bottom - face.top, y + face.right - face.left, face.score)
        chip = parts.embedder.cut(turned, parts.landmarks.predict(turned, box))
        upright, seconds = _embedded(chip, parts.embedder, mirror=True)
        spent += seconds
        if upright[0] @ upright[-1] >= max(full, cosine + TURNED_GAIN * (full - nothing)):
            return True, spent
    return False, spent


def _window(
    rgb: Rgb, face: Face, margin_sides: float = THUMB_MARGIN
) -> tuple[int, int, int, int]:
    margin = margin_sides * face.side
    height, width = rgb.shape[:2]
    left = int(min(max(face.left - margin, 0), width - 1))
    top = int(min(max(face.top - margin, 0), height - 1))
    right = int(min(max(face.right + margin, left + 1), width))
    bottom = int(min(max(face.bottom + margin, top + 1), height))
    return left, top, right, bottom


def _thumb(rgb: Rgb, window: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    left, top, right, bottom = window
    grey = cv2.cvtColor(rgb[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (THUMB_SIDE, THUMB_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
