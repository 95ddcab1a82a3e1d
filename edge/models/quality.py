"""Quality of a capture, in the terms of ISO/IEC 29794-5 where they fit.

- Each component is 0 to 1; the unified quality is their product, the first one below
  its floor names what to tell the person.
- Floors for enrolment are stricter than for a capture: a poor reference hurts every
  verification after it.
"""

import cv2
import msgspec
import numpy as np

from edge.models.detection import Points, Rgb, Scheme

EYE_DISTANCE_FULL_PX = 60.0
SHARPNESS_FULL = 150.0
"""Variance of the Laplacian of a chip that counts as sharp."""
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
    chip: Rgb, points: Points, scheme: Scheme, mirror_cosine: float,
    mirror_range: tuple[float, float],
) -> dict[str, float]:
    """Give the components of one aligned face.

    Args:
        chip: uint8, shape (side, side, 3).
        points: float32, shape (5, 2), in pixels of the capture.
        scheme: Which points they are.
        mirror_cosine: Between the chip's features and its mirror's: the best single signal.
        mirror_range: The pack's cosines that count as nothing and as full.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    mean = float(grey.mean())
    clipped = float(((grey < 8) | (grey > 250)).mean())
    right, left, nose = eyes_and_nose(points, scheme)
    across = right - left
    distance = float(np.hypot(*across))
    # How far the nose leaves the middle between the eyes, in eye distances.
    turn = abs(float((nose - (right + left) / 2) @ across)) / max(distance**2, 1e-6)
    return {
        "eye_distance": min(1.0, distance / EYE_DISTANCE_FULL_PX),
        "sharpness": min(1.0, sharpness / SHARPNESS_FULL),
        "exposure": max(0.0, min(1.0, mean / 70, (255 - mean) / 50) - clipped),
        "pose": float(np.clip((POSE_ZERO - turn) / (POSE_ZERO - POSE_FULL), 0.0, 1.0)),
        "mirror": float(
            np.clip((mirror_cosine - mirror_range[0]) / (mirror_range[1] - mirror_range[0]), 0, 1)
        ),
    }


def eyes_and_nose(points: Points, scheme: Scheme) -> tuple[Points, Points, Points]:
    """Give the middle of the eye on the picture's right, of the one on its left, and the nose."""
    if scheme == "dlib5":
        return points[:2].mean(axis=0), points[2:4].mean(axis=0), points[4]
    return points[1], points[0], points[2]


def unify(components: dict[str, float]) -> float:
    """Give the unified quality, 0 to 1."""
    return float(np.prod(list(components.values())) ** (1 / len(components)))


def first_below(components: dict[str, float], floors: Floors) -> str:
    """Name the first component below its floor, empty if none is."""
    return next(
        (name for name, value in components.items() if value < getattr(floors, name)), ""
    )
