"""Why nothing reads: looking for the finder patterns of a code that didn't.

- Finder patterns are three nested squares whose areas go as 49 : 25 : 9
  (ISO/IEC 18004, 6.3.3); one is enough to say that there is a code.
- The causes are heuristics for a person's next move, never part of a verdict.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge.hotpath.qr.reading import Why
from edge.hotpath.qr.rungs import Plane, resize_to

SIDE = 960
CONTOURS_MAX = 4_000
MODULE_PX_MIN = 2.2
SHARPNESS_MIN = 120.0
"""Variance of the Laplacian below which a picture with contrast counts as blurred."""
GLARE_LEVEL = 250
GLARE_SHARE_MIN = 0.12
_FINDER_MODULES = 7.0


def diagnose(plane: Plane) -> Why:
    """Name the likeliest cause that no code read on a grey plane."""
    scale = max(plane.shape) / SIDE
    small = resize_to(plane, SIDE) if scale > 1.0 else plane
    finders = _finders(small)
    if len(finders) == 0:
        if _sharpness(small) < SHARPNESS_MIN and float(small.std()) > 12.0:
            return Why.BLURRED
        return Why.NO_CODE
    side = float(np.median(finders[:, 2])) * max(scale, 1.0)
    if side / _FINDER_MODULES < MODULE_PX_MIN:
        return Why.TOO_SMALL
    region = _around(small, finders)
    # A white screen is as bright as glare, so what lies at the border counts first.
    if len(finders) < 3 and _near_border(small, finders):
        return Why.CUT_OFF
    if len(finders) < 3 and _glare_share(region) > GLARE_SHARE_MIN:
        return Why.GLARE
    return Why.BLURRED if _sharpness(region) < SHARPNESS_MIN else Why.DAMAGED


def _finders(plane: Plane) -> npt.NDArray[np.float64]:
    """Find finder patterns; rows of centre x, centre y, side in pixels."""
    block = max(15, max(plane.shape) // 20 | 1)
    binary = cv2.adaptiveThreshold(
        plane, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, 5
    )
    contours, tree = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    rows: list[tuple[float, float, float]] = []
    if tree is None or len(contours) > CONTOURS_MAX:
        return np.zeros((0, 3))
    for index, contour in enumerate(contours):
        child = tree[0][index][2]
        grandchild = tree[0][child][2] if child >= 0 else -1
        if grandchild < 0:
            continue
        outer, inner = cv2.contourArea(contour), cv2.contourArea(contours[grandchild])
        x, y, width, height = cv2.boundingRect(contour)
        square = 0.6 < width / height < 1.67 and outer > 0.5 * width * height
        if square and outer > 36 and 2.8 < outer / max(inner, 1.0) < 14.0:
            rows.append((x + width / 2, y + height / 2, float(max(width, height))))
    return np.array(rows).reshape(-1, 3)


def _around(plane: Plane, finders: npt.NDArray[np.float64]) -> Plane:
    reach = 3.0 * float(finders[:, 2].max())
    left, top = np.maximum(finders[:, :2].min(axis=0) - reach, 0).astype(int)
    right, bottom = (finders[:, :2].max(axis=0) + reach).astype(int)
    return plane[top:bottom, left:right]


def _near_border(plane: Plane, finders: npt.NDArray[np.float64]) -> bool:
    height, width = plane.shape
    reach = 4.0 * float(finders[:, 2].max())
    x, y = finders[:, 0], finders[:, 1]
    return bool(((x < reach) | (x > width - reach) | (y < reach) | (y > height - reach)).any())


def _sharpness(plane: Plane) -> float:
    return float(cv2.Laplacian(plane, cv2.CV_64F).var())


def _glare_share(plane: Plane) -> float:
    return float((plane >= GLARE_LEVEL).mean())
