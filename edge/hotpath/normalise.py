"""Population normalisation: a score is held against the node's own population.

- Score s' = cos(p, r) − ½(μp + μr); μ is the mean of the highest cosines to a cohort, one row an
  identity (a symmetric, adaptive normalisation without division by a deviation).
- The claimed identity's own row is left out of both μ: kept in, it would lower exactly
  the genuine scores.
- Self-calibration: scores between members of the cohort, both left out of each other's μ,
  are impostor scores that need no label and no picture; thresholds are read from them.
- Not here: which references are the cohort (edge.cache.cohort), when it is calibrated anew.
"""

import math
from collections.abc import Collection, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from edge.hotpath.kernels import top_mean
from edge.hotpath.rates import (
    CohortPoint,
    Pairs,
    Scores,
    all_pairs_drawn,
    fit_threshold,
    person_weights,
    threshold_interval,
)

IDENTITIES_MIN = 200
"""Fewer make no cohort: at 50 normalised scores are worse than raw ones."""
TOP_MIN, TOP_SHARE = 3, 100
EXPECTED_ERRORS_MIN = 12.4
"""Impostor errors expected behind a threshold read from a cohort: 500 identities for 1e-4. Pairs
share identities, so this is more than rates' own bound."""
BLOCK_ROWS = 256
TAIL_FACTOR, TAIL_MIN = 4, 200
"""Highest scores kept beyond those above the threshold, for its interval."""
SEED = 20_260

Template = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]


class CohortView(msgspec.Struct, frozen=True):
    """The cohort at one moment, never changed once published.

    Attributes:
        version: Rises with every change.
        rows: int8, (n, d), contiguous, one row an identity, as the store holds references.
        inverse_norms: 1 / length of each row, float32, (n,).
        index: Row by holder id.
    """

    version: int
    rows: Template
    inverse_norms: Floats
    index: Mapping[bytes, int]

    def __len__(self) -> int:
        """Count identities."""
        return len(self.rows)


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What a cohort said of thresholds: those FMRs that it is large enough for."""

    version: int
    identities: int
    points: tuple[CohortPoint, ...]

    def point(self, fmr: float) -> CohortPoint | None:
        """Give the point fitted for exactly this FMR."""
        return next((point for point in self.points if point.fmr == fmr), None)


def view_of(version: int, rows: Template, holders: Collection[bytes]) -> CohortView:
    """Make a view of rows that nobody will change; `holders` in the order of rows."""
    wide = rows.astype(np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    return CohortView(version, rows, (1.0 / np.maximum(norms, 1.0)).astype(np.float32),
                      {holder: row for row, holder in enumerate(holders)})


def top_count(identities: int) -> int:
    """Give how many of the highest cosines make μ."""
    return max(TOP_MIN, math.ceil(identities / TOP_SHARE))


def cohort_mean(view: CohortView, template: Template, claimed: bytes | None) -> float:
    """Give μ of one template, the claimed identity's own row left out.

    Args:
        view: Of at least `IDENTITIES_MIN` identities.
        template: int8, (d,), transformed as the rows are.
        claimed: Holder id; None where nobody is claimed.
    """
    left_out = -1 if claimed is None else view.index.get(claimed, -1)
    return float(top_mean(view.rows, view.inverse_norms, template, left_out,
                          top_count(len(view))))


def score_shift(
    view: CohortView, probe: Template, stored: Template, claimed: bytes
) -> float:
    """Give ½(μp + μr), which a normalised score is lower by."""
    return (cohort_mean(view, probe, claimed) + cohort_mean(view, stored, claimed)) / 2


def bears(identities: int, fmr: float) -> bool:
    """Say whether a cohort of this size can be calibrated for an FMR."""
    pairs = identities * (identities - 1) / 2
    return identities >= IDENTITIES_MIN and pairs * fmr >= EXPECTED_ERRORS_MIN


def calibrate(view: CohortView, fmrs: Collection[float]) -> Calibration:
    """Read thresholds from the scores between members of a cohort.

    Args:
        view: The cohort.
        fmrs: Rates asked for; those that it can't bear get no point.
    """
    identities = len(view)
    borne = sorted({fmr for fmr in fmrs if bears(identities, fmr)}, reverse=True)
    if not borne:
        return Calibration(version=view.version, identities=identities, points=())
    total = identities * (identities - 1) // 2
    keep = min(total, TAIL_FACTOR * math.ceil(borne[0] * total) + TAIL_MIN)
    scores, pairs = impostor_tail(view, keep)
    weights = person_weights(identities, SEED)
    trials = all_pairs_drawn(weights, np.ones(identities, np.int64))
    points = []
    for fmr in borne:
        fitted = fit_threshold(scores, total, fmr)
        if fitted is None:
            continue
        near = TAIL_FACTOR * math.ceil(fmr * total) + TAIL_MIN
        low, high = threshold_interval(scores[:near], pairs[:near], weights, trials, fmr)
        points.append(CohortPoint(fmr=fmr, threshold=fitted[0], threshold_low=low,
                                  threshold_high=high, errors=fitted[1]))
    return Calibration(version=view.version, identities=identities, points=tuple(points))


def impostor_tail(view: CohortView, keep: int) -> tuple[Scores, Pairs]:
    """Give the highest normalised scores between members, falling, and their two rows.

    Works in blocks of rows, so that memory is bounded and other threads get their turn.
    """
    unit = view.rows.astype(np.float32) * view.inverse_norms[:, None]
    count = top_count(len(view))
    # Of every member: its count-th cosine, the sum of the highest count, and of one more.
    edge, sums, more = (np.empty(len(view), np.float32) for _ in range(3))
    for start in range(0, len(view), BLOCK_ROWS):
        block = _cosines(unit, start)
        highest = -np.sort(-np.partition(block, -count - 1, axis=1)[:, -count - 1 :], axis=1)
        here = slice(start, start + len(block))
        edge[here], sums[here] = highest[:, count - 1], highest[:, :count].sum(1)
        more[here] = highest.sum(1)
    scores: list[Scores] = []
    pairs: list[Pairs] = []
    for start in range(0, len(view), BLOCK_ROWS):
        block = _cosines(unit, start)
        here = slice(start, start + len(block))
        # Where the other one is among the highest, the next one takes its place.
        own = np.where(block >= edge[here, None], more[here, None] - block, sums[here, None])
        others = np.where(block >= edge[None], more[None] - block, sums[None])
        found = block - (own + others) / np.float32(2 * count)
        one, other = np.nonzero(np.arange(len(view))[None] > np.arange(start, here.stop)[:, None])
        values = found[one, other]
        best = np.argpartition(-values, keep - 1)[:keep] if keep < len(values) else slice(None)
        scores.append(np.asarray(values[best], np.float32))
        pairs.append(np.stack([one[best] + start, other[best]], 1).astype(np.int32))
    whole = np.concatenate(scores)
    order = np.argsort(-whole, kind="stable")[:keep]
    return whole[order], np.concatenate(pairs)[order]


def _cosines(unit: Floats, start: int) -> Floats:
    """Give a block of cosines; a member's own is lower than any."""
    block = unit[start : start + BLOCK_ROWS] @ unit.T
    np.fill_diagonal(block[:, start:], np.float32(-2.0))
    return np.asarray(block, np.float32)
