"""`align`: five points to the aligned chip, against what public face libraries do for it.

- Ours: a closed similarity and a warp of the face's region, halved first where the face is large.
  Theirs: scikit-image's SimilarityTransform and one `cv2.warpAffine`, as InsightFace's
  `face_align.norm_crop` does it, to a chip of the same side.
- The chips aren't the same pixels: theirs samples a large face sparsely, ours averages.
"""

import cv2
import numpy as np
from skimage.transform import SimilarityTransform

from bench.harness import Result, interleave
from edge.models.geometry import CHIP_SIDE, cut_chip
from kanhe.demo.people import load_group

NAME = "align"
CHIPS, ROUNDS, SMALL_ROUNDS = 200, 15, 5
_TARGET = np.array(
    [[0.857, 0.213], [0.646, 0.229], [0.121, 0.214], [0.334, 0.229], [0.490, 0.628]]
)
"""Where the five points go, in the unit square, to two or three digits."""


def run(small: bool) -> Result:
    """Cut chips at many places and sizes."""
    rgb = load_group()
    rng = np.random.default_rng(1)
    chip = ((_TARGET + 0.25) / 1.5 * CHIP_SIDE).astype(np.float32)
    places = []
    for _ in range(CHIPS):
        side = rng.uniform(80, 240)
        corner = rng.uniform([0, 0], [rgb.shape[1] - side, rgb.shape[0] - side])
        points = corner + _TARGET * side + rng.normal(0, side / 100, (5, 2))
        places.append(points.astype(np.float32))

    def _ours() -> None:
        for points in places:
            cut_chip(rgb, points)

    def _theirs() -> None:
        for points in places:
            matrix = SimilarityTransform.from_estimate(points, chip).params[:2]
            cv2.warpAffine(rgb, matrix, (CHIP_SIDE, CHIP_SIDE), borderValue=0.0)

    rounds = SMALL_ROUNDS if small else ROUNDS
    ours_s, theirs_s = interleave(_ours, _theirs, rounds, CHIPS)
    return Result(
        measure=NAME, ours=round(ours_s * 1e6, 2), theirs=round(theirs_s * 1e6, 2), unit="us",
        ratio=round(ours_s / theirs_s, 3),
        against="skimage SimilarityTransform + cv2.warpAffine, the same chip side",
        n=CHIPS * rounds, settings={"chip": CHIP_SIDE, "faces_px": "80 to 240"},
    )
