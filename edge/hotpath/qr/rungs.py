"""The rungs: each one way of reading a grey plane, pure and stateless.

- A rung takes a plane and gives what it read; nothing is better than something wrong.
- Each stays only because it read development photographs that the rungs before it
  didn't; `docs/qr-ladder.md` has the table and the command.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import zxingcpp

Plane = npt.NDArray[np.uint8]
"""Grey, shape (height, width)."""
Found = tuple[str | bytes, ...]
"""Texts, and contents that are no text."""

_QR = zxingcpp.barcode_formats_from_str("QRCode")
_PLAIN = zxingcpp.TextMode.Plain
_CLAHE_CLIP = 3.0
_CLAHE_TILES = (8, 8)
_LIGHTER = np.array([255 * (i / 255) ** 0.5 for i in range(256)], np.uint8)
_DARKER = np.array([255 * (i / 255) ** 2 for i in range(256)], np.uint8)


class Rung(NamedTuple):
    """One step of the ladder.

    Attributes:
        side: The plane is resized to this long side first; 0 = as it is.
    """

    name: str
    side: int
    read: Callable[[Plane], Found]


def resize_to(plane: Plane, side: int) -> Plane:
    """Resize so that the long side has that many pixels."""
    factor = side / max(plane.shape)
    if factor == 1.0:
        return plane
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    size = (max(1, round(plane.shape[1] * factor)), max(1, round(plane.shape[0] * factor)))
    return np.asarray(cv2.resize(plane, size, interpolation=interpolation), np.uint8)


def read_fast(plane: Plane) -> Found:
    """Read upright dark-on-light codes in one pass."""
    return _found(
        zxingcpp.read_barcodes(
            plane, formats=_QR, text_mode=_PLAIN,
            try_rotate=False, try_downscale=False, try_invert=False,
        )
    )


def read_full(plane: Plane) -> Found:
    """Read in every direction, scale and polarity."""
    return _found(zxingcpp.read_barcodes(plane, formats=_QR, text_mode=_PLAIN))


def read_by_histogram(plane: Plane) -> Found:
    """Read with one black point for the whole picture, which a gap in a code survives."""
    return _found(
        zxingcpp.read_barcodes(
            plane, formats=_QR, text_mode=_PLAIN, binarizer=zxingcpp.Binarizer.GlobalHistogram
        )
    )


def _found(codes: list[zxingcpp.Barcode]) -> Found:
    found: list[str | bytes] = []
    for code in codes:
        binary = code.content_type == zxingcpp.ContentType.Binary
        content: str | bytes = code.bytes if binary else code.text
        if content not in found:
            found.append(content)
    return tuple(found)


def _darker(plane: Plane) -> Plane:
    return _DARKER[plane]


def _lighter(plane: Plane) -> Plane:
    return _LIGHTER[plane]


def _equalised(plane: Plane) -> Plane:
    # Local contrast (Zuiderveld 1994); the object is cheap and not shared between threads.
    return np.asarray(cv2.createCLAHE(_CLAHE_CLIP, _CLAHE_TILES).apply(plane), np.uint8)


def _smoothed(plane: Plane) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), 1.5), np.uint8)


def _sharpened(plane: Plane) -> Plane:
    soft = cv2.GaussianBlur(plane, (0, 0), 3)
    return np.asarray(cv2.addWeighted(plane, 2.0, soft, -1.0, 0), np.uint8)


def _locally_thresholded(plane: Plane) -> Plane:
    return np.asarray(
        cv2.adaptiveThreshold(
            plane, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, 101, 0
        ),
        np.uint8,
    )


def _after(prepare: Callable[[Plane], Plane]) -> Callable[[Plane], Found]:
    return lambda plane: read_full(prepare(plane))


HARDER: tuple[Rung, ...] = (
    Rung("darker", 800, _after(_darker)),
    Rung("contrast", 0, _after(_equalised)),
    Rung("global-histogram", 640, read_by_histogram),
    Rung("contrast-800", 800, _after(_equalised)),
    Rung("lighter", 800, _after(_lighter)),
    Rung("smoothed", 800, _after(_smoothed)),
    Rung("sharpened", 1200, _after(_sharpened)),
    Rung("local-threshold", 1000, _after(_locally_thresholded)),
)
"""In the order tried: what reads most for its time comes first."""
