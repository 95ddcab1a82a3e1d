"""`compare`: two templates to a score, against NumPy's cosine of float32 features.

- Ours: int8 templates as stored, an eighth of a float64's memory. Theirs: what InsightFace's
  `compute_sim` does: a dot product divided by both norms, on float32.
"""

import numpy as np

from bench.harness import Result, interleave
from edge.hotpath.holder import compare_templates

NAME = "compare"
PAIRS, FEATURES = 2_000, 128
ROUNDS, SMALL_ROUNDS = 31, 7


def run(small: bool) -> Result:
    """Compare random pairs."""
    rng = np.random.default_rng(1)
    floats = rng.normal(size=(PAIRS, 2, FEATURES)).astype(np.float32)
    peaks = np.abs(floats).max(axis=2, keepdims=True)
    ints = np.rint(floats / peaks * 127).astype(np.int8)

    def _ours() -> None:
        for pair in ints:
            compare_templates(pair[0], pair[1])

    def _theirs() -> None:
        for pair in floats:
            a, b = pair[0], pair[1]
            np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))

    rounds = SMALL_ROUNDS if small else ROUNDS
    ours_s, theirs_s = interleave(_ours, _theirs, rounds, PAIRS)
    worst = max(abs(compare_templates(i[0], i[1]) - float(
        f[0] @ f[1] / np.linalg.norm(f[0]) / np.linalg.norm(f[1])))
        for i, f in zip(ints, floats, strict=True))
    return Result(
        measure=NAME, ours=round(ours_s * 1e6, 3), theirs=round(theirs_s * 1e6, 3), unit="us",
        ratio=round(ours_s / theirs_s, 3), against="numpy dot and two norms on float32",
        n=PAIRS * rounds, settings={"features": FEATURES, "worst_difference": round(worst, 4)},
        valid=worst < 0.02, why="" if worst < 0.02 else "int8 scores differ from float32's",
    )
