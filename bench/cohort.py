"""`cohort`: what population normalisation adds to one verification.

- Ours: both means, of probe and reference, over a cohort of int8 rows. Theirs: the same by
  float32 rows kept ready, one BLAS product for each and `numpy.partition`.
- CPU time of one thread; both must give the same shift.
"""

import os
import time
from collections.abc import Callable

import numpy as np

from bench.harness import Result
from edge.hotpath.normalise import score_shift, top_count, view_of

NAME = "cohort"
IDENTITIES, DIMENSIONS = 2_000, 128
ROUNDS, SMALL_ROUNDS, PER_ROUND = 60, 4, 100
BOUND_US = 50.0


def run(small: bool) -> Result:
    """Measure on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        return _run(SMALL_ROUNDS if small else ROUNDS)
    finally:
        os.sched_setaffinity(0, before)


def _run(rounds: int) -> Result:
    rng = np.random.default_rng(1)
    rows = rng.integers(-90, 91, (IDENTITIES, DIMENSIONS)).astype(np.int8)
    view = view_of(1, rows, [b"%d" % row for row in range(IDENTITIES)])
    unit = rows.astype(np.float32) * view.inverse_norms[:, None]
    probe, stored, claimed, count = rows[7].copy(), rows[8], b"8", top_count(IDENTITIES)

    def mean(template: np.ndarray) -> float:
        """Give the mean of the highest cosines with others; int8, (d,)."""
        wide = template.astype(np.float32)
        found = unit @ (wide / np.float32(np.linalg.norm(wide)))
        found[view.index[claimed]] = -2.0
        return float(np.partition(found, -count)[-count:].mean())

    def _plain() -> float:
        return (mean(probe) + mean(stored)) / 2

    def _ours() -> float:
        return score_shift(view, probe, stored, claimed)

    same = abs(_ours() - _plain()) < 1e-5
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, work in ((0, _ours), (1, _plain)):
            times[side].append(_cpu_us(work))
    took, floor = float(np.median(times[0])), float(np.median(times[1]))
    why = "" if same else "the two shifts differ"
    if same and took > BOUND_US:
        why = f"over {BOUND_US} µs"
    return Result(
        measure=NAME, ours=round(took, 1), theirs=round(floor, 1), unit="us",
        ratio=round(took / floor, 3),
        against="two float32 BLAS products and numpy.partition over rows kept ready",
        n=rounds * PER_ROUND, settings={"identities": IDENTITIES, "dimensions": DIMENSIONS,
                                        "count": count, "cores": 1, "clock": "process CPU time"},
        valid=not why, why=why,
    )


def _cpu_us(work: Callable[[], float]) -> float:
    start = time.process_time()
    for _ in range(PER_ROUND):
        work()
    return (time.process_time() - start) / PER_ROUND * 1e6
