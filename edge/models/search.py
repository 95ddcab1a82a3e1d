"""Finds the one face of a picture at the smallest scale that suffices.

- A search is enough when its largest face is so large that one of half its size would have
  been seen as well: then nobody beside it is missed.
- A face found small is sought again in a crop around it, where its place is more exact.
"""

import numpy as np

from edge.hotpath.holder import ProbeFault
from edge.hotpath.reasons import Reason
from edge.models.detection import Detector, Face, Rgb

SECOND_FACE_RATIO = 0.5
"""A face smaller than this share of the largest is a bystander."""
REFINE_REACH = 1.0
"""Half the side of the crop to refine in, in sides of the face."""


def find_only_face(rgb: Rgb, detector: Detector) -> tuple[Face | ProbeFault, float]:
    """Give the picture's one face, or why there is none; and the runtime's seconds."""
    faces: list[Face] = []
    spent = 0.0
    largest = 0.0
    scale = 1.0
    for side in detector.search_sides:
        scale = min(1.0, side / max(rgb.shape[:2]))
        faces, seconds = detector.detect(rgb, side)
        spent += seconds
        largest = max((face.side for face in faces), default=0.0)
        if scale >= 1.0 or (faces and largest * scale >= detector.enough_px):
            break
    if not faces:
        return ProbeFault(Reason.FACE_ABSENT), spent
    near = [face for face in faces if face.side > SECOND_FACE_RATIO * largest]
    if len(near) > 1:
        return ProbeFault(Reason.FACE_MULTIPLE), spent
    face = near[0]
    if scale < 1.0 and face.side * scale < detector.refine_side / (2 * REFINE_REACH):
        face, seconds = _refined(rgb, face, detector)
        spent += seconds
    return face, spent


def _refined(rgb: Rgb, face: Face, detector: Detector) -> tuple[Face, float]:
    """Seek a face again in a crop around it; the first answer stands if it isn't there."""
    middle_x, middle_y = (face.left + face.right) / 2, (face.top + face.bottom) / 2
    reach = REFINE_REACH * face.side
    left, top = max(0, int(middle_x - reach)), max(0, int(middle_y - reach))
    crop = np.ascontiguousarray(
        rgb[top : int(middle_y + reach) + 1, left : int(middle_x + reach) + 1]
    )
    found, seconds = detector.detect(crop, detector.refine_side)
    moved = [_moved(item, left, top) for item in found]
    same = [item for item in moved
            if item.left < middle_x < item.right and item.top < middle_y < item.bottom
            and item.side > SECOND_FACE_RATIO * face.side]
    return max(same, key=lambda item: item.side, default=face), seconds


def _moved(face: Face, left: int, top: int) -> Face:
    points = None if face.points is None else face.points + np.array([left, top], np.float32)
    return Face(face.left + left, face.top + top, face.right + left, face.bottom + top,
                face.score, points)
