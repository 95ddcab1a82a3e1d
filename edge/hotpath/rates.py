"""Error rates: thresholds for a rate, how sure a rate is, and what a gallery does to it.

- Rates are per comparison (ISO/IEC 19795-1): a score above the threshold is a match.
- A threshold is fitted only where enough impostor errors stand behind it.
- Intervals come from a bootstrap over persons: comparisons that share a person aren't
  independent, so an interval that counts comparisons is too narrow. Where nothing was
  seen, a bootstrap has nothing to draw from; then the exact binomial limit (Clopper and
  Pearson 1934) holds over as many comparisons as are independent.
- Not here: where scores come from.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

ERRORS_MIN = 10
"""Impostor errors that must stand behind a threshold."""
LEVEL = 0.95
"""Of every interval."""
ROUNDS = 400
"""Of a bootstrap."""

Scores = npt.NDArray[np.float32]
Pairs = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float32]
Interval = tuple[float, float]


class CohortPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold on the normalised scale, with its interval and the errors behind it."""

    fmr: float
    threshold: float
    threshold_low: float
    threshold_high: float
    errors: int


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold and its rates.

    Attributes:
        fmr: The rate it was fitted for.
        threshold: Accept above it.
        fnmr: At that threshold; None where no genuine comparison was seen.
    """

    fmr: float
    threshold: float
    fnmr: float | None = None


def identification_fmr(fpir: float, gallery: int) -> float:
    """Give the FMR at which a search of a gallery falsely finds somebody as rarely as asked.

    Of N independent comparisons at least one errs with 1 − (1 − FMR)^N (ISO/IEC 19795-1, false
    positive identification rate). Faces that resemble each other err together, so the
    true rate is at most about this for a gallery of the population that FMR was measured on.

    Args:
        fpir: Share of searches for unknown persons that may find somebody, in (0, 1).
        gallery: How many references are searched, at least 1.
    """
    if not 0.0 < fpir < 1.0 or gallery < 1:
        raise ValueError("a rate in (0, 1) and a gallery of at least one are needed")
    return -math.expm1(math.log1p(-fpir) / gallery)


def serving_point(points: Sequence[Point], fmr: float) -> Point | None:
    """Give the loosest point whose FMR is at most the one asked for, None if there is none."""
    fit = [point for point in points if point.fmr <= fmr * (1 + 1e-9)]
    return max(fit, key=lambda point: point.fmr, default=None)


def fit_threshold(descending: Scores, total: int, fmr: float) -> tuple[float, int] | None:
    """Fit a threshold to impostor scores.

    Args:
        descending: The highest scores, falling; all, or at least those that matter.
        total: How many impostor comparisons there were in all.
        fmr: The rate asked for.

    Returns:
        The threshold and how many scores are above it, at most fmr · total; None
        where fewer than `ERRORS_MIN` would stand behind it.
    """
    allowed = math.floor(fmr * total * (1 + 1e-9))
    if allowed < ERRORS_MIN or allowed >= len(descending):
        return None
    threshold = float(descending[allowed])
    return threshold, int(np.searchsorted(-descending, -threshold, "left"))


def person_weights(persons: int, seed: int, rounds: int = ROUNDS) -> Weights:
    """Draw persons with replacement, as often as there are persons, for every round.

    Returns:
        How often each was drawn, float32, (rounds, persons).
    """
    rng = np.random.default_rng(seed)
    even = np.full(persons, 1.0 / persons)
    return rng.multinomial(persons, even, size=rounds).astype(np.float32)


def drawn_pairs(weights: Weights, pairs: Pairs) -> npt.NDArray[np.float64]:
    """Count, for every round, how often these pairs of persons were drawn.

    Args:
        weights: As `person_weights` gives them.
        pairs: Two persons each, (n, 2).
    """
    one, other = pairs[:, 0], pairs[:, 1]
    return np.array([np.dot(row[one].astype(np.float64), row[other]) for row in weights])


def drawn_own(weights: Weights, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Count the same for genuine pairs, of which each person has so many."""
    return np.asarray(weights.astype(np.float64) @ counts, np.float64)


def all_pairs_drawn(weights: Weights, images: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Count the same for every pair of images of different persons, without listing them."""
    each: npt.NDArray[np.float64] = weights.astype(np.float64) * images
    return np.asarray((each.sum(1) ** 2 - (each**2).sum(1)) / 2, np.float64)


def rate_interval(
    errors: npt.NDArray[np.float64], trials: npt.NDArray[np.float64], independent: int
) -> Interval:
    """Give the interval of a rate from the rounds of a bootstrap.

    Args:
        errors, trials: Of every round.
        independent: Comparisons that share no person, for the limit where nothing erred.
    """
    seen = trials > 0
    rates = errors[seen] / trials[seen]
    if not len(rates) or not rates.any():
        return 0.0, upper_limit_of_none(independent)
    low, high = np.quantile(rates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def upper_limit_of_none(trials: int) -> float:
    """Give Clopper and Pearson's upper limit of a rate after no error in some trials."""
    return 1.0 if trials < 1 else 1.0 - ((1 - LEVEL) / 2) ** (1.0 / trials)


def threshold_interval(
    descending: Scores, pairs: Pairs, weights: Weights,
    trials: npt.NDArray[np.float64], fmr: float,
) -> Interval:
    """Give the interval of the threshold that an FMR needs.

    Args:
        descending, pairs: The highest impostor scores, falling, and their two persons.
        weights, trials: Of every round: the persons drawn, and the comparisons in all.
        fmr: The rate asked for.
    """
    found = []
    for row, total in zip(weights, trials, strict=True):
        above = np.cumsum(row[pairs[:, 0]].astype(np.float64) * row[pairs[:, 1]])
        at = int(np.searchsorted(above, fmr * total, "right"))
        found.append(float(descending[min(at, len(descending) - 1)]))
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
