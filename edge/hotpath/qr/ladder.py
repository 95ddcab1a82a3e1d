"""The ladder: rungs in order until one reads or the budget is spent.

- Pure: how much time is left is asked of a function that the caller gives.
- A frame whose fast pass shows only foreign codes is read fully once more, so that
  a poster behind the holder doesn't hide the phone.
"""

from collections.abc import Callable

from edge.hotpath.qr.diagnose import diagnose
from edge.hotpath.qr.reading import CodeReading, has_presentation
from edge.hotpath.qr.rungs import HARDER, Found, Plane, Rung, read_fast, read_full, resize_to

Remaining = Callable[[], float]
"""Seconds left of a frame's budget."""


def climb_fast(plane: Plane) -> CodeReading | None:
    """Read the small plane once; None if no KH1 code shows."""
    reading = as_reading(read_fast(plane), "fast")
    return reading if has_presentation(reading.texts) else None


def climb(plane: Plane, remaining: Remaining, rungs: tuple[Rung, ...] = HARDER) -> CodeReading:
    """Read the plane fully, then harder and harder.

    Args:
        plane: Grey, shape (height, width).
        remaining: Seconds left; asked before every rung.
        rungs: The harder rungs.

    Returns:
        What the first successful rung read; nothing and no cause if none did.
    """
    found = read_full(plane)
    if found:
        return as_reading(found, "full")
    resized: dict[int, Plane] = {0: plane}
    for rung in rungs:
        if remaining() <= 0.0:
            break
        if rung.side not in resized:
            resized[rung.side] = resize_to(plane, rung.side)
        found = rung.read(resized[rung.side])
        if found:
            return as_reading(found, rung.name)
    return CodeReading()


def explain(plane: Plane) -> CodeReading:
    """Give the reading of a plane on which nothing reads."""
    return CodeReading(why=diagnose(plane))


def as_reading(found: Found, rung: str) -> CodeReading:
    """Sort what was found into texts and octets."""
    return CodeReading(
        texts=tuple(item for item in found if isinstance(item, str)),
        binaries=tuple(item for item in found if isinstance(item, bytes)),
        rung=rung if found else "",
    )
