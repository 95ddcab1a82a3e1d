"""How much credit the gallery's first stage must give, so that a probe doesn't lose its best row.

- A row is compared when its estimate plus so many deviations reaches the second best found so far.
  At worst that second is the true one, found before: what a probe needs then is
  (second − estimate of the best) ÷ deviation. The real search sees lower seconds at first, so
  losses counted here are the most there can be.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.cache.gallery.kernels import encode_rows
from edge.cache.gallery.query import make_query, mean_row

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int8]

BLOCK = 4_096
SIGMAS = (2.0, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5)
_WEIGHTS = np.array([1, 2, 4, -8])


class Truth(NamedTuple):
    """Of every probe: the slot of its best row, and the cosines of the two best."""

    slots: npt.NDArray[np.int64]
    best: Floats
    second: Floats


def find_truth(rows: Rows, probes: Rows) -> Truth:
    """Compare every probe with every row, by BLAS."""
    units = probes / np.linalg.norm(probes.astype(np.float32), axis=1, keepdims=True)
    count = len(probes)
    best, second = np.full(count, -2.0, np.float32), np.full(count, -2.0, np.float32)
    slots, every = np.zeros(count, np.int64), np.arange(count)
    for at in range(0, len(rows), BLOCK):
        block = rows[at : at + BLOCK].astype(np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        cosines = units @ block.T
        place = cosines.argmax(axis=1)
        high = cosines[every, place]
        cosines[every, place] = -2.0
        second = np.maximum(np.maximum(second, np.minimum(best, high)), cosines.max(axis=1))
        slots = np.where(high > best, place + at, slots)
        best = np.maximum(best, high)
    return Truth(slots, best, second)


def count_losses(rows: Rows, probes: Rows, truth: Truth) -> dict[str, Any]:
    """Give how many probes could lose their best at each credit, and the most that one needs."""
    norms = np.concatenate([np.linalg.norm(rows[at : at + BLOCK].astype(np.float32), axis=1)
                            for at in range(0, len(rows), BLOCK)])
    mean = mean_row(rows, (1.0 / norms).astype(np.float32), np.arange(len(rows)))
    picked = np.ascontiguousarray(rows[truth.slots])
    codes = np.zeros((rows.shape[1] // 64, len(picked)), np.uint64)
    factors, bases = np.zeros(len(picked), np.float32), np.zeros(len(picked), np.float32)
    encode_rows(picked, (1.0 / norms[truth.slots]).astype(np.float32), mean, 0, len(picked),
                codes, factors, bases)
    needed = np.empty(len(picked))
    for number, probe in enumerate(probes):
        query = make_query(probe, mean, sigmas=1.0)
        ones = np.bitwise_count(codes[:, number] & query.planes).sum(axis=1) @ _WEIGHTS
        estimate = query.offset + bases[number] + factors[number] * query.step * (
            2 * int(ones) - query.total)
        needed[number] = (truth.second[number] - estimate) / (factors[number] * query.slack)
    return {
        "could_lose_at_sigmas": {str(item): int((needed > item).sum()) for item in SIGMAS},
        "sigmas_needed_most": round(float(needed.max()), 2),
    }
