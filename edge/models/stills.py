"""Still-image injection: the frames of a burst that are one picture, sent several times.

- Whoever holds a head before a camera moves: standing, a head sways several millimetres in
  half a second. Copies of one file don't move at all, however they are re-encoded,
  relit or rescaled.
- Motion is measured between the frames' thumbs, brought to one place of the picture, by phase
  correlation: finer by far than landmarks, whose own noise is larger than a still head's
  motion. It is told in distances between the eyes, and as a share of the picture's size,
  so that rescaling is no motion.
- A frame that is another one's very pixels counts once: a gate may ask its camera more
  often than that has a new picture. A burst of nothing else is a still.
- What it doesn't see: a picture moved between the frames, a video, a screen, a mask.
"""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge.models.pose import eyes_and_nose
from edge.models.view import THUMB_SIDE, FrameView

FRAMES_MIN = 3
"""Of two frames only that they are the same can be told: they may be 30 ms apart."""
MOTION_MIN = 0.008
"""Mean motion between a burst's frames below which it is a still: 0.5 mm of a face. Copies of one
picture measured 0.001 (recompressed) to 0.006 (rescaled, too), one in fifty up to 0.010; a
sway of 0.6 mm 0.012, of 2 mm 0.046."""

_HANN = cv2.createHanningWindow((THUMB_SIDE, THUMB_SIDE), cv2.CV_32F)


def is_still(views: Sequence[FrameView]) -> bool | None:
    """Tell whether a burst is one picture, None if it is too short to tell."""
    if len(views) < 2:
        return None
    distinct: list[FrameView] = []
    for view in views:
        if not any(_same_pixels(view, other) for other in distinct):
            distinct.append(view)
    if len(distinct) == 1:
        return True
    if len(distinct) < FRAMES_MIN:
        return None
    moved = [motion(a, b) for a, b in itertools.combinations(distinct, 2)]
    return sum(moved) / len(moved) < MOTION_MIN


def motion(a: FrameView, b: FrameView) -> float:
    """Measure how far a face moved between two frames, in distances between its eyes."""
    thumb, other_thumb = _thumb(a), _thumb(b)
    first, second = _window(a), _window(b)
    step, other = _step(first), _step(second)
    # Where a pixel of the first thumb lies in the second one, were nothing to move.
    gain = step / other
    shift = (first[:2] + step / 2 - second[:2]) / other - 0.5
    matrix = np.array([[gain[0], 0.0, shift[0]], [0.0, gain[1], shift[1]]])
    there = cv2.warpAffine(
        other_thumb.astype(np.float32), matrix, (THUMB_SIDE, THUMB_SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )
    # OpenCV weights its arguments in place, so each is an array of its own.
    moved, _ = cv2.phaseCorrelate(thumb.astype(np.float32), there, _HANN)
    right, left, _ = eyes_and_nose(a.points, a.scheme)
    apart = max(float(np.hypot(*(right - left))), 1e-6)
    return float(np.hypot(moved[0] * step[0] * a.width, moved[1] * step[1] * a.height)) / apart


def _same_pixels(a: FrameView, b: FrameView) -> bool:
    first, second = _thumb(a), _thumb(b)
    return (
        (a.width, a.height, a.window) == (b.width, b.height, b.window)
        and np.array_equal(a.points, b.points) and np.array_equal(first, second)
    )


def _thumb(view: FrameView) -> npt.NDArray[np.uint8]:
    assert view.thumb is not None, "only frames of a burst have theirs"
    return view.thumb


def _window(view: FrameView) -> npt.NDArray[np.float64]:
    size = (view.width, view.height, view.width, view.height)
    return np.asarray(view.window, np.float64) / size


def _step(window: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return (window[2:] - window[:2]) / THUMB_SIDE
