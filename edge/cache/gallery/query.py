"""A probe made ready for a search: its signs' worth in bit planes, and how far to trust them."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge.cache.gallery.kernels import PLANES, Floats, Rows, Words

SIGMAS = 2.75
"""Deviations of the estimate that a row is given credit for. The error is near to normal under a
random transform and smaller for a row that resembles the probe (by √(1 − cos²) of the rests), so
that for a row near the best this is nearer to four. Of ten thousand probes of 128 dimensions at
2.23 million rows at most 17 could lose their best row with 2, two with 2.5, one with 2.75, none
with 3; in fact none did with 2.75 (`bench/harness_credit`)."""
SAMPLE_ROWS = 65_536
"""Rows that a mean is taken of."""
_UNIT_MAX = 2 ** (PLANES - 1) - 1
_SIGN_LOSS = 1.0 - 2.0 / math.pi
"""Share of a random vector's square that its signs don't tell."""


class Query(NamedTuple):
    """What `search_rows` takes of a probe, by its names."""

    query: Rows
    inverse: np.float32
    planes: Words
    step: np.float32
    total: int
    slack: np.float32
    offset: np.float32


def make_query(template: npt.NDArray[np.int8], mean: Floats, *, sigmas: float = SIGMAS) -> Query:
    """Prepare a probe against the mean that codes were made with.

    Args:
        template: int8, (d,).
        mean: float32, (width,), width ≥ d and a multiple of 64.
        sigmas: Credit given to an estimate, in its deviations.
    """
    width = len(mean)
    query = np.zeros(width, np.int8)
    query[: len(template)] = template
    norm = float(np.linalg.norm(query.astype(np.float32)))
    inverse = np.float32(1.0 / norm if norm > 0.0 else 0.0)
    unit = query * inverse
    rest = unit - mean
    step = max(float(np.abs(rest).max()) / _UNIT_MAX, 1e-12)
    units = np.rint(rest / step).astype(np.int64)
    bits = (units[None, :] >> np.arange(PLANES)[:, None]) & 1
    planes = np.packbits(bits.astype(np.uint8), axis=1, bitorder="little").view(np.uint64)
    spread = _SIGN_LOSS * float(rest @ rest) + width * step * step / 12.0
    return Query(query, inverse, planes, np.float32(step), int(units.sum()),
                 np.float32(sigmas * math.sqrt(spread)), np.float32(unit @ mean))


def mean_row(rows: Rows, inverses: Floats, live: npt.NDArray[np.int64]) -> Floats:
    """Give the mean of unit rows, of a sample where there are many; zeros where there are none."""
    if not len(live):
        return np.zeros(rows.shape[1], np.float32)
    sample = live[:: -(-len(live) // SAMPLE_ROWS)]
    return np.asarray((rows[sample] * inverses[sample, None]).mean(axis=0), np.float32)
