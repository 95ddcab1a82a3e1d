"""Quality of a capture, in the terms of ISO/IEC 29794-5 where they fit.

- Each component is 0 to 1; the unified quality is their product, the first one below
  its floor names what to tell the person.
- Floors for enrolment are stricter than for a capture: a poor reference hurts every
  verification after it.
"""

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

EYE_DISTANCE_FULL_PX = 60.0
SHARPNESS_FULL = 150.0
"""Variance of the Laplacian of a chip that counts as sharp."""
MIRROR_ZERO, MIRROR_FULL = 0.90, 0.98
"""Cosine between a chip's features and its mirror's: the best single signal."""
POSE_FULL = 0.12
POSE_ZERO = 0.6


class Floors(msgspec.Struct, frozen=True):
    """Smallest acceptable value of each component."""

    eye_distance: float
    sharpness: float
    exposure: float
    pose: float
    mirror: float


CAPTURE_FLOORS = Floors(0.35, 0.04, 0.25, 0.15, 0.3)
ENROLMENT_FLOORS = Floors(0.55, 0.10, 0.4, 0.35, 0.6)


def judge_chip(
    chip: npt.NDArray[np.uint8], points: npt.NDArray[np.float32], mirror_cosine: float
) -> dict[str, float]:
    """Give the components of one aligned face.

    Args:
        chip: uint8, shape (150, 150, 3).
        points: float32, shape (5, 2), in pixels of the capture.
        mirror_cosine: Between the chip's features and its mirror's.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    mean = float(grey.mean())
    clipped = float(((grey < 8) | (grey > 250)).mean())
    right, left = points[:2].mean(axis=0), points[2:4].mean(axis=0)
    across = right - left
    distance = float(np.hypot(*across))
    # How far the nose leaves the middle between the eyes, in eye distances.
    turn = abs(float((points[4] - (right + left) / 2) @ across)) / max(distance**2, 1e-6)
    return {
        "eye_distance": min(1.0, distance / EYE_DISTANCE_FULL_PX),
        "sharpness": min(1.0, sharpness / SHARPNESS_FULL),
        "exposure": max(0.0, min(1.0, mean / 70, (255 - mean) / 50) - clipped),
        "pose": float(np.clip((POSE_ZERO - turn) / (POSE_ZERO - POSE_FULL), 0.0, 1.0)),
        "mirror": float(
            np.clip((mirror_cosine - MIRROR_ZERO) / (MIRROR_FULL - MIRROR_ZERO), 0.0, 1.0)
        ),
    }


def unify(components: dict[str, float]) -> float:
    """Give the unified quality, 0 to 1."""
    return float(np.prod(list(components.values())) ** (1 / len(components)))


def first_below(components: dict[str, float], floors: Floors) -> str:
    """Name the first component below its floor, empty if none is."""
    return next(
        (name for name, value in components.items() if value < getattr(floors, name)), ""
    )
