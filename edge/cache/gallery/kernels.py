"""Compiled loops of the gallery: coding rows, searching them, finding ids.

- A row's code is the signs of what is left of it after the gallery's mean; with two factors it
  estimates a cosine without reading the row (RaBitQ, Gao & Long 2024, with the query in four
  bit planes). Rows are behind a random orthogonal transform, which is what its bound asks for.
- A row is compared exactly as soon as estimate plus slack reaches the second best found so far.
- Columns, not records: neighbours in memory are neighbours in a loop, so that it vectorises.
- Cached on disk; each has a plain twin below it that its test compares it with.
"""

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

Rows = npt.NDArray[np.int8]
Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Slots = npt.NDArray[np.int64]
Table = npt.NDArray[np.uint32]

BLOCK = 512
"""Rows estimated at once; its sums stay in the first cache."""
STRIDE = 32
"""Rows whose estimates are looked through only if the largest of them matters."""
PLANES = 4
"""Bits of the query: one more changes the estimate's error by less than a hundredth."""
FREE = np.float32(-np.inf)
"""The base of a slot without a row: no estimate of it reaches anything."""


def _generate_ones(_: Any, word: Any) -> Any:  # noqa: ANN401 - numba's own types
    """Count the ones of a 64-bit word, by the processor's own instruction where it has one."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:  # noqa: ANN401
        return builder.ctpop(args[0])

    return types.int64(word), generate


_ones = cast(Callable[[np.uint64], int], intrinsic(_generate_ones))


@numba.njit(cache=True, nogil=True)
def encode_rows(
    rows: Rows, inverses: Floats, mean: Floats, begin: int, end: int,
    codes: Words, factors: Floats, bases: Floats,
) -> None:
    """Code the rows `begin … end-1`.

    Args:
        rows: int8, shape (n, d), d a multiple of 64.
        inverses: float32, (n,); 1 / Euclidean norm of each row.
        mean: float32, (d,); of unit rows.
        begin, end: Which rows.
        codes: uint64, (d/64, n); written: bit k of word w is the sign of dimension 64w+k.
        factors: float32, (n,); written: |δ|² / Σ|δ| of the rest δ = unit row − mean.
        bases: float32, (n,); written: mean · δ.
    """
    width = rows.shape[1]
    for r in range(begin, end):
        square = total = base = np.float32(0.0)
        for w in range(width // 64):
            word = np.uint64(0)
            for k in range(64):
                at = 64 * w + k
                rest = rows[r, at] * inverses[r] - mean[at]
                square += rest * rest
                total += abs(rest)
                base += mean[at] * rest
                if rest > 0.0:
                    word |= np.uint64(1) << np.uint64(k)
            codes[w, r] = word
        factors[r] = square / total if total > 0.0 else np.float32(0.0)
        bases[r] = base


def encode_rows_plain(
    rows: Rows, inverses: Floats, mean: Floats, begin: int, end: int,
    codes: Words, factors: Floats, bases: Floats,
) -> None:
    """Do the same without compilation."""
    rest = rows[begin:end] * inverses[begin:end, None] - mean
    bits = np.packbits(rest > 0.0, axis=1, bitorder="little")
    codes[:, begin:end] = bits.view(np.uint64).T
    total = np.abs(rest).sum(axis=1)
    square = (rest * rest).sum(axis=1)
    factors[begin:end] = np.divide(square, total, out=np.zeros_like(total), where=total > 0.0)
    bases[begin:end] = rest @ mean


@numba.njit(cache=True, nogil=True)
def _insert(scores: Floats, slots: Slots, score: np.float32, slot: int) -> None:
    """Put a score in its place among the best, which are in descending order."""
    at = scores.shape[0] - 1
    while at > 0 and scores[at - 1] < score:
        scores[at], slots[at] = scores[at - 1], slots[at - 1]
        at -= 1
    scores[at], slots[at] = score, slot


@numba.njit(cache=True, nogil=True)
def _candidates(
    codes: Words, planes: Words, step: np.float32, total: int, slack: np.float32,
    factors: Floats, bases: Floats, start: int, count: int, worst: np.float32, sums: Slots,
    highest: Floats, chosen: Slots,
) -> int:
    """List the rows of a block whose cosine, less query · mean, may reach `worst`."""
    for w in range(0, codes.shape[0], 2):
        # Slices, since an index that might be negative keeps a loop from being vectorised.
        ones, others = codes[w, start : start + count], codes[w + 1, start : start + count]
        p0, p1, p2, p3 = planes[0, w], planes[1, w], planes[2, w], planes[3, w]
        q0, q1, q2, q3 = (
            planes[0, w + 1], planes[1, w + 1], planes[2, w + 1], planes[3, w + 1])
        for i in range(count):
            x, y = ones[i], others[i]
            units = (
                _ones(x & p0) + _ones(y & q0) + 2 * (_ones(x & p1) + _ones(y & q1))
                + 4 * (_ones(x & p2) + _ones(y & q2)) - 8 * (_ones(x & p3) + _ones(y & q3)))
            sums[i] = units if w == 0 else sums[i] + units
    factor, base = factors[start : start + count], bases[start : start + count]
    for i in range(count):
        highest[i] = base[i] + factor[i] * (step * np.float32(2 * sums[i] - total) + slack)
    found = 0
    for at in range(0, count, STRIDE):
        stop = min(at + STRIDE, count)
        hit = False
        for i in range(at, stop):
            hit |= highest[i] >= worst
        if hit:
            # Without a branch: which row is one can't be foretold.
            for i in range(at, stop):
                chosen[found] = start + i
                found += highest[i] >= worst
    return found


@numba.njit(cache=True, nogil=True)
def search_rows(
    rows: Rows, inverses: Floats, codes: Words, factors: Floats, bases: Floats,
    query: Rows, inverse: np.float32, planes: Words, step: np.float32, total: int,
    slack: np.float32, offset: np.float32, begin: int, end: int, bound: Floats,
    scores: Floats, slots: Slots,
) -> int:
    """Find the rows `begin … end-1` of the highest cosine with a query.

    Args:
        rows, inverses, codes, factors, bases: As `encode_rows` makes them.
        query: int8, (d,).
        inverse: float32; 1 / Euclidean norm of the query.
        planes: uint64, (4, d/64); the query less the mean, as two's complement multiples of `step`.
        step: float32; one unit of `planes`.
        total: Sum of the units.
        slack: float32; how far the estimate of `query · sign` may be from the truth.
        offset: float32; query · mean.
        begin, end: Which rows.
        bound: float32, (1,); the second best score of any thread; read and raised.
        scores: float32, (k,), k ≥ 2; the best, descending; −2 where there is none.
        slots: int64, (k,); their rows, −1 where there is none.

    Returns:
        How many rows were compared exactly.
    """
    sums, highest = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.float32)
    # One place more than rows, for the write that is taken back.
    chosen = np.empty(BLOCK + 1, np.int64)
    last, exact = scores.shape[0] - 1, 0
    scores[:], slots[:] = np.float32(-2.0), -1
    for start in range(begin, end, BLOCK):
        worst = max(np.float32(bound[0] - offset), np.float32(-4.0))
        found = _candidates(codes, planes, step, total, slack, factors, bases, start,
                            min(BLOCK, end - start), worst, sums, highest, chosen)
        exact += found
        # The rows are far apart: listed before they are read, several are on their way at once.
        for at in range(found):
            slot, dot = chosen[at], np.int32(0)
            row = rows[slot]
            for k in range(row.shape[0]):
                dot += np.int32(row[k]) * np.int32(query[k])
            score = np.float32(dot) * inverses[slot] * inverse
            if score > scores[last]:
                _insert(scores, slots, score, slot)
                bound[0] = max(bound[0], scores[1])
    return exact


def search_rows_plain(
    rows: Rows, inverses: Floats, bases: Floats, query: Rows, inverse: np.float32,
    begin: int, end: int, scores: Floats, slots: Slots,
) -> None:
    """Find the same best by comparing every row exactly."""
    dots = rows[begin:end].astype(np.int32) @ query.astype(np.int32)
    cosines = (dots.astype(np.float32) * inverses[begin:end] * np.float32(inverse))
    cosines[bases[begin:end] == FREE] = -2.0
    best = np.argsort(-cosines, kind="stable")[: len(scores)]
    best = best[cosines[best] > -2.0]
    scores[:], slots[:] = -2.0, -1
    scores[: len(best)], slots[: len(best)] = cosines[best], best + begin


@numba.njit(cache=True, nogil=True)
def index_ids(ids: Words, table: Table) -> int:
    """Enter the slots of all ids but zero into an empty open-addressing table.

    Args:
        ids: uint64, (n, 2); uniformly distributed.
        table: uint32, a power of two long, larger than n; 0 = empty, else slot + 1.

    Returns:
        How many were entered.
    """
    mask, entered = np.uint64(table.shape[0] - 1), 0
    for slot in range(ids.shape[0]):
        if ids[slot, 0] == 0 and ids[slot, 1] == 0:
            continue
        at = ids[slot, 0] & mask
        while table[at] != 0:
            at = (at + np.uint64(1)) & mask
        table[at] = slot + 1
        entered += 1
    return entered


def index_ids_plain(ids: Words, table: Table) -> int:
    """Do the same without compilation."""
    entered = 0
    for slot, (low, high) in enumerate(ids.tolist()):
        if low or high:
            at = low % len(table)
            while table[at]:
                at = (at + 1) % len(table)
            table[at] = slot + 1
            entered += 1
    return entered
