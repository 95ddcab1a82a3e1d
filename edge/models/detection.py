"""What every detector gives, whatever its form.

- A box in pixels of the picture given, and five points where the detector has them.
- Not here: the forms themselves (edge.models.mmod and its neighbours).
"""

from typing import Literal, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
"""Shape (height, width, 3)."""
Points = npt.NDArray[np.float32]
"""Shape (n, 2), x and y in pixels."""

Scheme = Literal["dlib5", "arcface5"]
"""Which points: `dlib5` eye corners (two of each eye) and nose base; `arcface5` eye centres,
nose tip and mouth corners. The two can't be exchanged."""


class Face(msgspec.Struct, frozen=True):
    """One detected face; the box in pixels of the picture given, inclusive.

    `points` are of the scheme `arcface5`, None where the detector has none.
    """

    left: float
    top: float
    right: float
    bottom: float
    score: float
    points: Points | None = None

    @property
    def side(self) -> float:
        """The box' longer side in pixels."""
        return max(self.right - self.left, self.bottom - self.top) + 1.0


class Detector(Protocol):
    """Finds faces.

    Attributes:
        search_sides: Long sides to search: after the first only where it isn't enough, and then
            the first that would be.
        enough_px: A search is enough when the largest face has so many of its pixels.
        refine_side: A face found with a smaller long side is sought again with this one, in a
            window around it; 0 = never.
        has_points: Whether faces carry points.
    """

    search_sides: tuple[int, ...]
    enough_px: int
    refine_side: int
    has_points: bool

    def detect(
        self, rgb: Rgb, long_side: int, face_px: float = 0.0
    ) -> tuple[list[Face], float]:
        """Find faces with the picture scaled to a long side, never enlarged.

        Args:
            rgb: The picture.
            long_side: What it is scaled to.
            face_px: About the side of the face sought, in pixels of the scaled picture; much
                smaller ones needn't be found.

        Returns:
            Faces, best first, in pixels of `rgb`; and the seconds the runtime took.
        """

    def look(self, rgb: Rgb, long_side: int) -> tuple[list[Face], list[Face], float]:
        """Do the same, and give besides what may be a face and isn't sure to be one.

        Returns:
            Faces, those only suspected, and seconds.
        """


def fit(width: int, height: int, room: tuple[int, int]) -> tuple[int, int]:
    """Give a picture's width and height once it fills a room of (width, height).

    Rounded as InsightFace rounds it, so that both see the same pixels.
    """
    if height * room[0] > width * room[1]:
        return max(1, int(room[1] * width / height)), room[1]
    return room[0], max(1, int(room[0] * height / width))
