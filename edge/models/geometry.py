"""Alignment: five points to the chip that the embedder was trained on.

- dlib fits the similarity from the template *to the image*; fitting the other way costs
  0.04 to 0.20 in its embedding. ArcFace fits from the image *to the template*.
- Closed form over complex numbers (Umeyama 1991 in two dimensions).
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge.models.detection import Points, Rgb

CHIP_SIDE = 150
CHIP_PADDING = 0.25
_TEMPLATE = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)
"""Eye corners and nose base in the unit square (dlib, get_face_chip_details)."""
_CHIP_POINTS = (_TEMPLATE + CHIP_PADDING) / (2 * CHIP_PADDING + 1) * CHIP_SIDE
_Z = _CHIP_POINTS[:, 0] + 1j * _CHIP_POINTS[:, 1]
_Z_MEAN = complex(_Z.mean())
_Z_CENTRED = _Z - _Z_MEAN
_Z_NORM = float((np.abs(_Z_CENTRED) ** 2).sum())

ARCFACE_SIDE = 112
_ARCFACE = np.array([38.2946 + 51.6963j, 73.5318 + 51.5014j, 56.0252 + 71.7366j,
                     41.5493 + 92.3655j, 70.7299 + 92.2041j])
"""Eye centres, nose tip, mouth corners in a chip of 112 pixels (ArcFace)."""
_ARCFACE_MEAN = complex(_ARCFACE.mean())
_ARCFACE_CENTRED = _ARCFACE - _ARCFACE_MEAN


def chip_transform(points: Points) -> tuple[complex, complex]:
    """Fit template → image.

    Args:
        points: float32, shape (5, 2), in pixels.

    Returns:
        The image position of the chip's centre, and the complex factor (rotation and pixels of
        image a pixel of chip).
    """
    w = points[:, 0].astype(np.float64) + 1j * points[:, 1].astype(np.float64)
    mean = complex(w.mean())
    a = complex((_Z_CENTRED.conj() * (w - mean)).sum()) / _Z_NORM
    half = CHIP_SIDE / 2
    centre = mean + a * (complex(half, half) - _Z_MEAN)
    scale = abs(a)
    step = (CHIP_SIDE * scale - 1) / (CHIP_SIDE - 1)
    return centre, a / scale * step if scale > 0.0 else 0j


def cut_chip(rgb: Rgb, points: Points) -> Rgb:
    """Cut the aligned chip, uint8, shape (150, 150, 3)."""
    centre, factor = chip_transform(points)
    region, offset = _region(rgb, centre, abs(factor))
    centre -= offset
    while abs(factor) >= 2.0 and min(region.shape[:2]) >= 2:
        size = (max(1, region.shape[1] // 2), max(1, region.shape[0] // 2))
        region = np.asarray(cv2.resize(region, size, interpolation=cv2.INTER_AREA), np.uint8)
        centre = (centre + complex(0.5, 0.5)) / 2 - complex(0.5, 0.5)
        factor /= 2
    middle = complex((CHIP_SIDE - 1) / 2, (CHIP_SIDE - 1) / 2)
    shift = centre - factor * middle
    matrix = np.array([[factor.real, -factor.imag, shift.real],
                       [factor.imag, factor.real, shift.imag]])
    return np.asarray(
        cv2.warpAffine(region, matrix, (CHIP_SIDE, CHIP_SIDE),
                       flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP),
        np.uint8,
    )


def _region(rgb: Rgb, centre: complex, step: float) -> tuple[Rgb, complex]:
    """Cut out what the chip can touch, so that halving costs only that."""
    reach = step * CHIP_SIDE * 0.75 + 4
    left = int(np.clip(centre.real - reach, 0, rgb.shape[1] - 1))
    top = int(np.clip(centre.imag - reach, 0, rgb.shape[0] - 1))
    right = int(np.clip(centre.real + reach, left + 1, rgb.shape[1]))
    bottom = int(np.clip(centre.imag + reach, top + 1, rgb.shape[0]))
    return rgb[top:bottom, left:right], complex(left, top)


def arcface_matrix(points: Points) -> npt.NDArray[np.float64]:
    """Fit image → template, shape (2, 3); points that lie on one spot give zeros.

    Args:
        points: float32, shape (5, 2), of the scheme `arcface5`, in pixels.
    """
    return similarity_matrix(points, _ARCFACE_CENTRED, _ARCFACE_MEAN)


def similarity_matrix(
    points: Points, centred: npt.NDArray[np.complex128], mean: complex
) -> npt.NDArray[np.float64]:
    """Fit image → any template, given as its points about their mean, and the mean."""
    z = points[:, 0].astype(np.float64) + 1j * points[:, 1].astype(np.float64)
    middle = complex(z.mean())
    z -= middle
    spread = float((z.real**2 + z.imag**2).sum())
    a = complex(np.vdot(z, centred)) / spread if spread > 0.0 else 0j
    shift = mean - a * middle
    return np.array([[a.real, -a.imag, shift.real], [a.imag, a.real, shift.imag]])


def cut_arcface(rgb: Rgb, points: Points) -> Rgb:
    """Cut the aligned chip, uint8, shape (112, 112, 3), as InsightFace's `norm_crop` does."""
    chip = cv2.warpAffine(rgb, arcface_matrix(points), (ARCFACE_SIDE, ARCFACE_SIDE))
    return np.asarray(chip, np.uint8)
