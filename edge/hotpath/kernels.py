"""Compiled loops of the comparison; arrays and scalars in, scalars out.

- Cached on disk; each has a plain twin below it that its test compares it with.
- The dots are a loop of their own: with the choice of the largest woven in, the compiler
  doesn't use wide registers and takes twice as long.
"""

import numba
import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cosines(rows: Rows, inverse_norms: Floats, query: Rows, found: Floats) -> None:
    """Fill in the cosine of a query to every row."""
    wide = query.astype(np.int16)
    own = np.int32(0)
    for j in range(wide.shape[0]):
        own = np.int32(own + np.int32(wide[j]) * np.int32(wide[j]))
    scale = np.float32(1.0) / np.sqrt(np.float32(max(own, np.int32(1))))
    for i in range(rows.shape[0]):
        dot = np.int32(0)
        for j in range(rows.shape[1]):
            dot = np.int32(dot + np.int32(rows[i, j]) * np.int32(wide[j]))
        found[i] = np.float32(dot) * inverse_norms[i] * scale


@numba.njit(cache=True, nogil=True, error_model="numpy")
def top_mean(
    rows: Rows, inverse_norms: Floats, query: Rows, left_out: int, count: int
) -> float:
    """Give the mean of a query's highest cosines.

    Args:
        rows: int8, (n, d).
        inverse_norms: 1 / length of each row, float32, (n,).
        query: int8, (d,).
        left_out: A row that doesn't count, -1 for none.
        count: How many of the highest, at most the rows that count.
    """
    found = np.empty(rows.shape[0], np.float32)
    _cosines(rows, inverse_norms, query, found)
    best = np.full(count, np.float32(-2.0), np.float32)
    for i in range(found.shape[0]):
        value = found[i]
        if value > best[count - 1] and i != left_out:
            place = count - 1
            while place > 0 and best[place - 1] < value:
                best[place] = best[place - 1]
                place -= 1
            best[place] = value
    return float(best.sum()) / count


def top_mean_plain(
    rows: Rows, inverse_norms: Floats, query: Rows, left_out: int, count: int
) -> float:
    """Do the same with arrays."""
    wide = query.astype(np.float32)
    found = (rows.astype(np.float32) @ wide) * inverse_norms
    found /= np.float32(max(float(np.linalg.norm(wide)), 1.0))
    if left_out >= 0:
        found = np.delete(found, left_out)
    return float(np.sort(found)[-count:].mean())
