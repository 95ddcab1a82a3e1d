"""A frame becomes texts: decode small and read fast, then everything, within a budget.

- The fast pass reads a plane decoded at a scale that suffices for a code held to the
  camera; only a frame that doesn't read there is decoded whole.
- Blocking and thread-safe; belongs on a worker thread.
- Nothing of a frame is kept.
"""

import time
from typing import Protocol

from edge.hotpath.qr.ladder import climb, climb_fast, explain
from edge.hotpath.qr.reading import CodeReading
from edge.hotpath.qr.rungs import resize_to
from edge.imaging import DEFAULT_LIMITS, Grey, ImageLimits, decode_grey

FAST_SIDE_MIN = 640
FULL_SIDE_MIN = 2_000
"""A larger JPEG is decoded no larger than the next scale above this."""
BUDGET_S = 0.25
ZBAR_SIDE = 800


class LastRung(Protocol):
    """What reads when nothing else does (zbar in its own process)."""

    def read(self, plane: Grey, timeout_s: float) -> tuple[str, ...]:
        """Read one plane within a time."""
        ...


class FrameReader:
    """Reads every code of one encoded frame."""

    def __init__(
        self,
        last_rung: LastRung | None = None,
        limits: ImageLimits = DEFAULT_LIMITS,
        budget_s: float = BUDGET_S,
    ) -> None:
        """Take the last rung, the bounds of a frame and its time budget in seconds."""
        self._last_rung = last_rung
        self._limits = limits
        self._budget_s = budget_s

    def read(self, image: bytes) -> CodeReading:
        """Read every code in one encoded image.

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
        """
        deadline = time.monotonic() + self._budget_s
        small = decode_grey(image, self._limits, FAST_SIDE_MIN)
        reading = climb_fast(small)
        if reading is not None:
            return reading
        plane = decode_grey(image, self._limits, FULL_SIDE_MIN)
        reading = climb(plane, lambda: deadline - time.monotonic())
        if reading.found:
            return reading
        left = deadline - time.monotonic()
        if self._last_rung is not None and left > 0.0:
            texts = self._last_rung.read(resize_to(plane, ZBAR_SIDE), left)
            if texts:
                return CodeReading(texts=texts, rung="zbar")
        return explain(plane)
