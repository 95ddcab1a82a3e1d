"""Passive presentation attack detection: is this a face or the picture of one?

- Terms are ISO/IEC 30107's. Two forms. `minifasnet`: the face with its surroundings, one
  crop scale a file; the classes' softmax, averaged over the files. `insightface-liveness`: the
  face alone, aligned by five points of its own; the output is the probability itself.
- A score is a probability of a bona fide face; from which one on a capture passes stands in
  the manifest (`live_min`).
- A face too near the picture's edge has no score: nothing is made up around it.
- Not here: what follows from a score (edge.models.burst).
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import PackError
from edge.models.detection import Face, Points, Rgb, Scheme
from edge.models.forms import complete
from edge.models.geometry import similarity_matrix
from edge.models.kernels import fill_planes
from edge.models.manifest import PackManifest, Parameters
from edge.models.sessions import Runner

SIDE = 80
TALL_WIDTH, TALL_HEIGHT = 0.95, 1.32
"""MiniFASNet was trained on tall boxes; what those are of a square one (mmod), measured against
YuNet's boxes on 80 photographs."""
OUTSIDE_MAX = 0.30
"""Share of an aligned crop that may lie beyond the picture (insightface.addons.liveness)."""
_ALIGNED = np.array(
    [32.03 + 38.06j, 47.89 + 37.98j, 40.01 + 47.08j, 33.50 + 56.36j, 46.63 + 56.29j]
)
"""Where the liveness addon wants the points `arcface5` in its 80×80 crop."""
_ALIGNED_MEAN = complex(_ALIGNED.mean())
_ALIGNED_CENTRED = _ALIGNED - _ALIGNED_MEAN


class OneFile(Protocol):
    """One model of a PAD.

    Attributes:
        schemes: Points that it can do with.
        live_min: Smallest probability that counts as bona fide.
    """

    schemes: tuple[Scheme, ...]
    live_min: float

    def score(self, rgb: Rgb, box: Face, points: Points, scheme: Scheme) -> float | None:
        """Give the probability of a bona fide face, None where it can't be judged."""


class PassivePad:
    """The PAD files of a pack together."""

    def __init__(self, models: Sequence[OneFile]) -> None:
        """Take the models, at least one, all with the same `live_min`."""
        self._models = models
        self.live_min = models[0].live_min

    def suits(self, scheme: Scheme) -> bool:
        """Tell whether every file can do with points of a scheme."""
        return all(scheme in model.schemes for model in self._models)

    def score(self, rgb: Rgb, box: Face, points: Points, scheme: Scheme) -> float | None:
        """Give the mean of the files' probabilities, None where one can't judge."""
        scores = [model.score(rgb, box, points, scheme) for model in self._models]
        known = [score for score in scores if score is not None and math.isfinite(score)]
        return sum(known) / len(known) if len(known) == len(scores) else None


class MiniFasNet:
    """MiniFASNet: planes of 80 pixels, classes of which one is bona fide."""

    schemes: tuple[Scheme, ...] = ("dlib5", "arcface5")

    def __init__(self, path: Path, parameters: Parameters, threads: int = 1) -> None:
        """Load the network.

        Raises:
            PackError: It isn't of the form.
        """
        scale, live, live_min = parameters.crop_scale, parameters.live_class, parameters.live_min
        assert scale is not None and live is not None and live_min is not None
        self._scale, self._live, self.live_min = scale, live, live_min
        self._planes = _Planes(path, parameters, threads)
        classes = self._planes.trial
        if classes.ndim != 2 or classes.shape[0] != 1 or classes.shape[1] <= live:
            raise PackError(f"{path.name}: more than {live} classes were expected, it gives an "
                            f"output of shape {classes.shape}")

    def score(self, rgb: Rgb, box: Face, points: Points, scheme: Scheme) -> float | None:  # noqa: ARG002
        """Give the softmax of the bona fide class."""
        classes = self._planes.run(crop_around(rgb, box, self._scale))
        shares = np.exp(classes[0].astype(np.float64) - float(classes.max()))
        return float(shares[self._live] / shares.sum())


class InsightFaceLiveness:
    """InsightFace's liveness addon: an aligned crop, one probability."""

    schemes: tuple[Scheme, ...] = ("arcface5",)

    def __init__(self, path: Path, parameters: Parameters, threads: int = 1) -> None:
        """Load the network.

        Raises:
            PackError: It isn't of the form.
        """
        assert parameters.live_min is not None
        self.live_min = parameters.live_min
        self._planes = _Planes(path, parameters, threads)
        if self._planes.trial.size != 1:
            raise PackError(f"{path.name}: one probability was expected, it gives an output of "
                            f"shape {self._planes.trial.shape}")

    def score(self, rgb: Rgb, box: Face, points: Points, scheme: Scheme) -> float | None:  # noqa: ARG002
        """Give the probability, None where too much of the crop lies beyond the picture."""
        matrix = similarity_matrix(points, _ALIGNED_CENTRED, _ALIGNED_MEAN)
        inside = cv2.warpAffine(np.ones(rgb.shape[:2], np.float32), matrix, (SIDE, SIDE))
        if 1.0 - float(inside.mean()) > OUTSIDE_MAX:
            return None
        crop = cv2.warpAffine(rgb, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR,
                              borderMode=cv2.BORDER_REPLICATE)
        score = float(self._planes.run(np.asarray(crop, np.uint8)).ravel()[0])
        return score if 0.0 <= score <= 1.0 else None


class _Planes:
    """A network that takes float32 (1, 3, 80, 80).

    Attributes:
        trial: What it gave on black when it was loaded.
    """

    def __init__(self, path: Path, parameters: Parameters, threads: int) -> None:
        self._runner = Runner(path, threads)
        shape, kind = self._runner.input_shape, self._runner.input_type
        fits = len(shape) == 4 and all(
            not isinstance(have, int) or have == want
            for have, want in zip(shape, (1, 3, SIDE, SIDE), strict=True)
        )
        if kind != "tensor(float)" or not fits:
            raise PackError(f"{path.name}: a float32 input (n, 3, {SIDE}, {SIDE}) was expected, "
                            f"it has {kind} {shape}")
        assert parameters.mean is not None and parameters.std is not None
        self._mean, self._gain = parameters.mean, 1.0 / parameters.std
        self._swap = parameters.colour == "bgr"
        self.trial = self.run(np.zeros((SIDE, SIDE, 3), np.uint8))
        if not np.isfinite(self.trial).all():
            raise PackError(f"{path.name}: the output isn't a number; its weights are bad")

    def run(self, crop: Rgb) -> npt.NDArray[np.float32]:
        planes = np.empty((1, 3, SIDE, SIDE), np.float32)
        fill_planes(crop, planes[0], self._mean, self._gain, self._swap, False)
        return self._runner.run(planes)[0]


FORMS: dict[str, Callable[[Path, Parameters, int], OneFile]] = {
    "minifasnet": MiniFasNet, "insightface-liveness": InsightFaceLiveness,
}


def open_pad(
    folder: Path, manifest: PackManifest, scheme: Scheme, threads: int = 1
) -> PassivePad | None:
    """Load a pack's PAD files, None if it has none.

    Args:
        folder: Of the pack.
        manifest: Its manifest.
        scheme: The points that faces will come with.
        threads: Of one inference.

    Raises:
        PackError: One isn't of its form or can't do with the points, or they ask for different
            thresholds.
    """
    models = [
        FORMS[file.form](folder / file.name, complete(file), threads)
        for file in manifest.files if file.role == "pad"
    ]
    if len({model.live_min for model in models}) > 1:
        raise PackError(f"pack {manifest.id}: its PAD files are averaged, so they need the same "
                        "live_min")
    pad = PassivePad(models) if models else None
    if pad is not None and not pad.suits(scheme):
        raise PackError(f"pack {manifest.id}: its PAD needs the five points of SCRFD or YuNet, "
                        f"the face pack gives {scheme}: use a face pack with such a detector, or "
                        "another PAD pack")
    return pad


def crop_around(rgb: Rgb, box: Face, scale: float) -> Rgb:
    """Cut a face with its surroundings, (80, 80, 3), as MiniFASNet's authors do.

    The crop is `scale` boxes, or as many as the picture holds, and is pushed back into
    it; what remains isn't square and is squeezed.
    """
    height, width = rgb.shape[:2]
    wide, high = box.right - box.left + 1.0, box.bottom - box.top + 1.0
    if box.points is None:
        # Only mmod has no points, and only mmod's boxes are square.
        wide, high = wide * TALL_WIDTH, high * TALL_HEIGHT
    scale = min(scale, (width - 1) / max(wide, 1.0), (height - 1) / max(high, 1.0))
    left, right = _span((box.left + box.right) / 2, wide * scale, width)
    top, bottom = _span((box.top + box.bottom) / 2, high * scale, height)
    return np.asarray(cv2.resize(rgb[top : bottom + 1, left : right + 1], (SIDE, SIDE)), np.uint8)


def _span(middle: float, length: float, limit: int) -> tuple[int, int]:
    """Place a length around a middle within 0 … limit − 1."""
    start = min(max(middle - length / 2, 0.0), max(limit - 1.0 - length, 0.0))
    return int(start), int(min(start + length, limit - 1.0))
