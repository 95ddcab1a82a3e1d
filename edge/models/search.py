"""Finds the one face of a picture at the smallest scale that suffices.

- A search is enough when its largest face is so large that one of half its size would have
  been seen as well: then nobody beside it is missed. The next is the first that would be.
- A face found at a smaller scale than `refine_side` is sought again at that one, in a window
  around it that lies on the whole picture's grid. What a detector answers turns with the
  pixels it is given, and a window so placed gives it those of the whole search.
- Several people seen or suspected at a smaller scale are held against that one, too.
"""

import cv2
import numpy as np

from edge.hotpath.holder import ProbeFault
from edge.hotpath.reasons import Reason
from edge.models.detection import Detector, Face, Rgb, fit

SECOND_FACE_RATIO = 0.5
"""A face smaller than this share of the largest is a bystander."""
SIDE_EXACT = 0.9
"""A side of a face seen small may be short by a tenth."""
WINDOW_GRAIN = 32
"""A window begins at a multiple of the coarsest stride of the detectors."""
WINDOW_MARGIN = 64
"""What a window shows around the face, in its own pixels. It turns the features of the whole
search's answer by a cosine of 0.0005 (median); 32 would by 0.0017, 96 by 0.0002."""


def find_only_face(rgb: Rgb, detector: Detector) -> tuple[Face | ProbeFault, float]:
    """Give the picture's one face, or why there is none; and the runtime's seconds."""
    long_side = max(rgb.shape[:2])
    near: list[Face] = []
    spent = wanted = 0.0
    for side in detector.search_sides:
        if side < SIDE_EXACT * wanted:
            continue
        faces, suspected, seconds = detector.look(rgb, side)
        spent += seconds
        near = _near(faces)
        searched = min(side, long_side)
        if searched == long_side:
            break
        if near:
            pixels = max(face.side for face in near) * searched / long_side
            wanted = side * detector.enough_px / pixels
            if len(near) > 1 or _is_near(suspected, near):
                wanted = max(wanted, detector.refine_side)
            if wanted <= side:
                break
            wanted = min(wanted, detector.search_sides[-1])
    if not near:
        return ProbeFault(Reason.FACE_ABSENT), spent
    if len(near) > 1:
        return ProbeFault(Reason.FACE_MULTIPLE), spent
    if searched < detector.refine_side:
        face, seconds = _refined(rgb, near[0], detector)
        return face, spent + seconds
    return near[0], spent


def _near(faces: list[Face]) -> list[Face]:
    """Give the faces that aren't bystanders, best first."""
    largest = max((face.side for face in faces), default=0.0)
    return [face for face in faces if face.side > SECOND_FACE_RATIO * largest]


def _is_near(suspected: list[Face], near: list[Face]) -> bool:
    """Tell whether one of those only suspected would be no bystander."""
    largest = max(face.side for face in near)
    return any(face.side > SECOND_FACE_RATIO * largest for face in suspected)


def _refined(rgb: Rgb, face: Face, detector: Detector) -> tuple[Face, float]:
    """Seek a face again in a window around it; the first answer stands if it isn't there."""
    height, width = rgb.shape[:2]
    wide, tall = fit(width, height, (detector.refine_side,) * 2)
    scale = tall / height
    left, right = _window(face.left * scale, face.right * scale, detector.refine_side)
    top, bottom = _window(face.top * scale, face.bottom * scale, detector.refine_side)
    crop = _cut(rgb, (wide, tall), (left, top, right, bottom))
    found, seconds = detector.detect(crop, max(crop.shape[:2]), face.side * scale)
    moved = [_moved(item, left, top, scale) for item in found]
    middle_x, middle_y = (face.left + face.right) / 2, (face.top + face.bottom) / 2
    same = [item for item in moved
            if item.left < middle_x < item.right and item.top < middle_y < item.bottom
            and item.side > SECOND_FACE_RATIO * face.side]
    return max(same, key=lambda item: item.side, default=face), seconds


def _window(begin: float, end: float, side: int) -> tuple[int, int]:
    """Give the span to look at, on the grid, within the square that a whole search fills."""
    first = int((begin - WINDOW_MARGIN) // WINDOW_GRAIN * WINDOW_GRAIN)
    last = int(-(-(end + WINDOW_MARGIN) // WINDOW_GRAIN) * WINDOW_GRAIN)
    return max(0, first), min(last, side)


def _cut(rgb: Rgb, size: tuple[int, int], window: tuple[int, int, int, int]) -> Rgb:
    """Cut a window of a picture scaled to a size; beyond it is black, as in a whole search."""
    left, top, right, bottom = window
    height, width = rgb.shape[:2]
    times = width // size[0]
    if (size[0] * times, size[1] * times) == (width, height):
        # Each pixel is then made of its own square alone, so the rest needn't be scaled.
        own = rgb[top * times : bottom * times, left * times : right * times]
        crop = cv2.resize(own, (own.shape[1] // times, own.shape[0] // times))
    else:
        # Each is counted from the upper left, so what lies behind the window needn't be.
        own = rgb[: _reach(bottom, size[1], height), : _reach(right, size[0], width)]
        scaled = cv2.resize(own, None, fx=size[0] / width, fy=size[1] / height)
        crop = scaled[top : min(bottom, size[1]), left : min(right, size[0])]
    more = (bottom - top - crop.shape[0], right - left - crop.shape[1])
    if any(more):
        crop = cv2.copyMakeBorder(crop, 0, more[0], 0, more[1], cv2.BORDER_CONSTANT)
    return np.asarray(crop, np.uint8)


def _reach(end: int, scaled: int, whole: int) -> int:
    """Give how many pixels of a side the first `end` of the scaled one are blended from."""
    return min(whole, -(-end * whole // scaled) + 2)


def _moved(face: Face, left: int, top: int, scale: float) -> Face:
    """Give a window's face in pixels of the picture."""
    points = None
    if face.points is not None:
        points = (face.points + np.array([left, top], np.float32)) / np.float32(scale)
    return Face((face.left + left) / scale, (face.top + top) / scale,
                (face.right + left) / scale, (face.bottom + top) / scale, face.score, points)
