"""Quality of a capture, in the terms of ISO/IEC 29794-5 where they fit.

- Each component is 0 to 1; the unified quality is their geometric mean. The first component
  below its floor names what to tell the person (`edge.hotpath.words`).
- Floors for enrolment are stricter than for a capture: a poor reference hurts every
  verification after it.
- `docs/liveness.md` defines every component; one face alone in view is judged before
  (edge.models.search).
"""

import math

import cv2
import msgspec
import numpy as np

from edge.models.detection import Points, Rgb, Scheme
from edge.models.kernels import measure_light
from edge.models.pose import estimate_pose, eyes_and_nose

EYE_DISTANCE_FULL_PX = 60.0
SHARPNESS_FULL = 150.0
"""Variance of the Laplacian of a chip that counts as sharp."""
MEAN_LOW, MEAN_HIGH = 70.0, 205.0
"""Mean greys between which a chip is neither dark nor bright."""
BLACK, WHITE = 8, 250
"""Greys beyond which nothing is told apart any more."""
CONTRAST_FULL = 30.0
"""Deviation of a chip's greys that counts as full contrast."""
FACE_SIDEWAYS, FACE_UP, FACE_DOWN = 0.9, 0.5, 1.6
"""How far a face reaches from the middle of the eyes, in eye distances: ears, brows, chin."""
LOOK_SIDE = 64
"""Side to which a picture without a face is scaled to judge its light."""
CUT_ZERO = 0.6
"""A face cut off by so many eye distances has no margin at all."""


class Floors(msgspec.Struct, frozen=True):
    """Smallest acceptable value of each component, in the order in which they are told."""

    eye_distance: float
    margin: float
    under_exposure: float
    over_exposure: float
    contrast: float
    sharpness: float
    yaw: float
    pitch: float
    roll: float
    mirror: float


CAPTURE_FLOORS = Floors(0.35, 0.5, 0.25, 0.25, 0.2, 0.04, 0.45, 0.45, 0.5, 0.3)
ENROLMENT_FLOORS = Floors(0.55, 0.8, 0.4, 0.4, 0.35, 0.10, 0.7, 0.7, 0.75, 0.6)


def judge_view(
    chip: Rgb, points: Points, scheme: Scheme, shape: tuple[int, ...], mirror_cosine: float,
    mirror_range: tuple[float, float],
) -> dict[str, float]:
    """Give the components of one aligned face.

    Args:
        chip: uint8, shape (side, side, 3).
        points: float32, shape (5, 2), in pixels of the capture.
        scheme: Which points they are.
        shape: Height and width of the capture.
        mirror_cosine: Between the chip's features and its mirror's: the best single signal.
        mirror_range: The pack's cosines that count as nothing and as full.
    """
    height, width = shape[:2]
    pose = estimate_pose(points, scheme, width, height)
    right, left, _ = eyes_and_nose(points, scheme)
    mirror = (mirror_cosine - mirror_range[0]) / (mirror_range[1] - mirror_range[0])
    found = {
        "eye_distance": float(np.hypot(*(right - left))) / EYE_DISTANCE_FULL_PX,
        "margin": _margin(right, left, width, height),
        **_light(chip),
        "yaw": _facing(pose.yaw_deg), "pitch": _facing(pose.pitch_deg),
        "roll": _facing(pose.roll_deg), "mirror": mirror,
    }
    return {name: min(1.0, max(0.0, value)) for name, value in found.items()}


def _light(chip: Rgb) -> dict[str, float]:
    grey = np.asarray(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY), np.uint8)
    mean, deviation, black, white, edges = measure_light(grey, BLACK, WHITE)
    return {
        "under_exposure": mean / MEAN_LOW - black,
        "over_exposure": (255.0 - mean) / (255.0 - MEAN_HIGH) - white,
        "contrast": deviation / CONTRAST_FULL,
        "sharpness": edges / SHARPNESS_FULL,
    }


def judge_darkness(rgb: Rgb) -> str:
    """Say what hides every face of a picture: too dark, too bright, washed out; empty if none.

    By the floors of a capture, over the whole picture: where no face was found, nothing else
    can be judged.
    """
    light = _light(np.asarray(cv2.resize(rgb, (LOOK_SIDE,) * 2), np.uint8))
    del light["sharpness"]  # so small a picture shows none
    return first_below(light, CAPTURE_FLOORS)


def _facing(angle_deg: float) -> float:
    """Map an angle to a quality: the cosine, squared; nothing from 90° on."""
    return max(0.0, math.cos(math.radians(angle_deg))) ** 2


def _margin(right: Points, left: Points, width: int, height: int) -> float:
    """Judge how much of the face the picture's edges cut off."""
    eyes = complex(*(float(value) for value in right - left))
    middle = complex(*(float(value) for value in right + left)) / 2
    corners = [
        middle + eyes * complex(x, y)
        for x in (-FACE_SIDEWAYS, FACE_SIDEWAYS) for y in (-FACE_UP, FACE_DOWN)
    ]
    beyond = max(
        max(-z.real, -z.imag, z.real - (width - 1), z.imag - (height - 1)) for z in corners
    )
    return 1.0 - max(0.0, beyond) / max(CUT_ZERO * abs(eyes), 1e-6)


def unify(components: dict[str, float]) -> float:
    """Give the unified quality, 0 to 1."""
    return math.prod(components.values()) ** (1 / len(components))


def first_below(components: dict[str, float], floors: Floors) -> str:
    """Name the first component that is there and below its floor, empty if none is."""
    return next(iter(all_below(components, floors)), "")


def all_below(components: dict[str, float], floors: Floors) -> list[str]:
    """Name every component that is there and below its floor."""
    return [name for name in Floors.__struct_fields__
            if name in components and not components[name] >= getattr(floors, name)]
