"""How a head is held, from five points of either scheme.

- Weak perspective and an average face: the nose stands before the plane of the eyes, so a turn
  moves it between them, and looking up moves it towards them.
- A flat picture that is turned or tilted must not look like a head that is. `arcface5`: the
  nose is placed against eyes *and* mouth, which no flat movement changes. `dlib5` has no
  mouth: a turn counts as far as the nose and the widths of the two eyes agree on it (the
  far eye looks narrower); a picture tilted back does look like looking up.
- Proportions were fitted on 80 photographs, on which the two schemes' turns correlate by
  0.87 and dlib's two signs by 0.82.
"""

import math

from edge.hotpath.liveness import Pose
from edge.models.detection import Points, Scheme

# Of an average face, in distances between the eyes' middles.
ARCFACE_NOSE_DEPTH = 0.42
"""Nose tip before the plane of eyes and mouth."""
ARCFACE_NOSE_SHARE = 0.61
"""Place of the nose tip between eyes (0) and mouth (1)."""
ARCFACE_NOSE_RISE = 0.40
"""The nose tip's depth as a share of the distance between eyes and mouth."""
DLIB_NOSE_DEPTH = 0.30
"""Nose base before the eyes' corners."""
DLIB_NOSE_DROP = 0.75
"""Nose base below the eyes."""
DLIB_EYE_NARROWING = 0.35
"""Logarithm of the ratio of the eyes' widths at a turn of 45°."""
_SHARE_MIN = 0.1


def estimate_pose(points: Points, scheme: Scheme, width: int, height: int) -> Pose:
    """Estimate a pose; a face whose eyes fall together has none and gives zeros.

    Args:
        points: float32, shape (5, 2), in pixels.
        scheme: Which points they are.
        width, height: Of the picture the points are in.
    """
    right, left, nose = (complex(*map(float, item)) for item in eyes_and_nose(points, scheme))
    z = [complex(*map(float, item)) for item in points]
    eyes, middle = right - left, (right + left) / 2
    if not 0.0 < abs(eyes) < math.inf:
        return Pose(0.0, 0.0, 0.0, 0.0, 0.0)
    # In the face's own axes: real along the eyes, imaginary down from them, in eye distances.
    tip = (nose - middle) / eyes
    if scheme == "arcface5":
        mouth = ((z[3] + z[4]) / 2 - middle) / eyes
        share = tip.imag / max(mouth.imag, _SHARE_MIN)
        yaw = turn = math.atan((tip.real - share * mouth.real) / ARCFACE_NOSE_DEPTH)
        pitch = math.atan((ARCFACE_NOSE_SHARE - share) / ARCFACE_NOSE_RISE)
    else:
        yaw = math.atan(tip.real / DLIB_NOSE_DEPTH)
        turn = _agreed(yaw, abs(z[2] - z[3]), abs(z[0] - z[1]))
        pitch = _dlib_pitch(tip.imag * math.cos(yaw))
    return Pose(
        yaw_deg=math.degrees(yaw), turn_deg=math.degrees(turn), pitch_deg=math.degrees(pitch),
        roll_deg=math.degrees(math.atan2(eyes.imag, eyes.real)),
        nearness=abs(eyes) / max(math.cos(yaw), 0.5) / max(width, height, 1),
    )


def eyes_and_nose(points: Points, scheme: Scheme) -> tuple[Points, Points, Points]:
    """Give the middle of the eye on the picture's right, of the one on its left, and the nose."""
    if scheme == "dlib5":
        return points[:2].mean(axis=0), points[2:4].mean(axis=0), points[4]
    return points[1], points[0], points[2]


def _agreed(yaw: float, width_left: float, width_right: float) -> float:
    """Give as much of a yaw as the widths of the eyes (in the picture) agree on."""
    if min(width_left, width_right) <= 0.0:
        return 0.0
    by_eyes = math.atan(math.log(width_left / width_right) / DLIB_EYE_NARROWING)
    return math.copysign(min(abs(yaw), abs(by_eyes)), yaw) if yaw * by_eyes > 0.0 else 0.0


def _dlib_pitch(down: float) -> float:
    """Give the pitch from the nose's distance below the eyes, the turn taken out."""
    long = math.hypot(DLIB_NOSE_DROP, DLIB_NOSE_DEPTH)
    rest = math.atan2(DLIB_NOSE_DEPTH, DLIB_NOSE_DROP)
    return math.acos(min(1.0, max(-1.0, down / long))) - rest
