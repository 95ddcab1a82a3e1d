"""Measures error rates of scored images, with intervals, by group, and fits points.

- Intervals: a bootstrap over persons, because comparisons share them (edge.hotpath.rates).
- Failures to acquire count as errors: of FNMR in the pairs that they spoil, of accuracy in any.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from edge.hotpath.rates import (
    Interval,
    Weights,
    all_pairs_drawn,
    drawn_own,
    drawn_pairs,
    fit_threshold,
    person_weights,
    rate_interval,
)
from edge.models.operating import SitePoint
from kanhe.calibration.gather import Images, Judged
from kanhe.calibration.score import Scored

FMRS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
FOLDS = 10
FOLD_PAIRS_MIN = 6_000
"""From so many pairs on, LFW's protocol is followed where no folds are given."""
SEED = 20_260
Mask = npt.NDArray[np.bool_]


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A rate, its 95 % interval, and what was counted; None where nothing was compared."""

    rate: float | None
    interval: Interval
    errors: int
    trials: int


class GroupRates(msgspec.Struct, frozen=True, kw_only=True):
    """Rates inside a group at the thresholds fitted to all, by the FMR these were fitted for."""

    persons: int
    fmr: Mapping[float, Rate]
    fnmr: Mapping[float, Rate]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured; `unborne` are FMRs with too few errors for a threshold."""

    points: tuple[SitePoint, ...]
    unborne: tuple[float, ...]
    eer: float | None
    groups: Mapping[str, GroupRates]


class Measurer:
    """Counts errors of one set of scored images."""

    def __init__(self, images: Images, judged: Judged, scored: Scored) -> None:
        """Draw the bootstrap's rounds."""
        self._scored = scored
        count = int(images.persons.max()) + 1
        self._weights: Weights = person_weights(count, SEED)
        self._even: Weights = np.ones((1, count), np.float32)
        self._impostors = images.persons[scored.impostor_images]
        self._genuine = images.persons[scored.genuine_images[:, 0]]
        self._images = np.bincount(images.persons[judged.acquired], minlength=count)
        self._everybody = np.ones(count, np.bool_)

    def measure(self, groups: Mapping[str, Mask]) -> Measured:
        """Fit points to everybody, and measure each group at their thresholds."""
        points, unborne = [], []
        for fmr in FMRS:
            if fmr * self._scored.impostor_total >= len(self._scored.impostor) > 0:
                continue  # of so many pairs, scores as low as that aren't kept
            fitted = fit_threshold(self._scored.impostor, self._scored.impostor_total, fmr)
            if fitted is None:
                unborne.append(fmr)
                continue
            match, miss = self.fmr(fitted[0]), self.fnmr(fitted[0])
            known = miss.rate is not None
            points.append(SitePoint(
                fmr=fmr, threshold=fitted[0], errors=fitted[1], fmr_low=match.interval[0],
                fmr_high=match.interval[1], fnmr=miss.rate,
                fnmr_low=miss.interval[0] if known else None,
                fnmr_high=miss.interval[1] if known else None))
        return Measured(
            points=tuple(points), unborne=tuple(unborne), eer=equal_error_rate(self._scored),
            groups={name: GroupRates(
                persons=int(inside.sum()),
                fmr={point.fmr: self.fmr(point.threshold, inside) for point in points},
                fnmr={point.fmr: self.fnmr(point.threshold, inside) for point in points},
            ) for name, inside in groups.items()},
        )

    def fmr(self, threshold: float, inside: Mask | None = None) -> Rate:
        """Measure the FMR, of everybody or between persons of one group."""
        who = self._everybody if inside is None else inside
        above = int(np.searchsorted(-self._scored.impostor, -threshold, "left"))
        wrong = self._impostors[:above]
        wrong = wrong[who[wrong].all(1)]
        if self._scored.all_pairs:
            trials = all_pairs_drawn(self._weights, self._images * who)
            total = all_pairs_drawn(self._even, self._images * who)[0]
        else:
            listed = self._impostors[who[self._impostors].all(1)]
            trials = drawn_pairs(self._weights, listed)
            total = len(listed)
        persons = int((who & (self._images > 0)).sum())
        return _rate(len(wrong), int(total), drawn_pairs(self._weights, wrong), trials,
                     persons // 2)

    def fnmr(self, threshold: float, inside: Mask | None = None) -> Rate:
        """Measure the FNMR, failures to acquire counted, of everybody or of one group."""
        who = self._everybody if inside is None else inside
        missed = self._genuine[self._scored.genuine <= threshold]
        errors, trials = (np.bincount(persons, minlength=len(who)) * who
                          for persons in (missed, self._genuine))
        return _rate(int(errors.sum()), int(trials.sum()), drawn_own(self._weights, errors),
                     drawn_own(self._weights, trials), int((trials > 0).sum()))


def _rate(
    errors: int, total: int, drawn: npt.NDArray[np.float64], trials: npt.NDArray[np.float64],
    independent: int,
) -> Rate:
    if not total:
        return Rate(rate=None, interval=(0.0, 1.0), errors=0, trials=0)
    return Rate(rate=errors / total, errors=errors, trials=total,
                interval=rate_interval(drawn, trials, independent))


def error_curve(scored: Scored) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give FMR and FNMR at every threshold that the kept scores tell apart, FMR rising."""
    if not scored.impostor_total or not len(scored.genuine):
        return np.zeros(0), np.zeros(0)
    places = np.unique(np.geomspace(1, len(scored.impostor), 400).astype(np.int64)) - 1
    thresholds = scored.impostor[places]
    genuine = np.sort(scored.genuine)
    fmr = np.searchsorted(-scored.impostor, -thresholds, "left") / scored.impostor_total
    fnmr = np.searchsorted(genuine, thresholds, "right") / len(genuine)
    return fmr, fnmr


def equal_error_rate(scored: Scored) -> float | None:
    """Give the rate at which both errors are equal, None where a kind of pair is missing."""
    fmr, fnmr = error_curve(scored)
    if not len(fmr):
        return None
    best = int(np.argmin(np.abs(fmr - fnmr)))
    return float(fmr[best] + fnmr[best]) / 2


def fold_accuracy(
    same: Mask, scores: npt.NDArray[np.float32], folds: Sequence[str]
) -> tuple[float, float] | None:
    """Give the accuracy over folds, each judged by the best threshold of the others.

    LFW's protocol (Huang et al. 2007). Without given folds, each kind of pair is cut into tenths in
    its order, which on LFW's own list gives LFW's own folds. A failure to acquire is an error.

    Args:
        same: Which pairs are genuine.
        scores: Minus infinity for a failure to acquire.
        folds: A name for each pair, empty where none is given.

    Returns:
        Mean and its standard error; None with fewer than `FOLD_PAIRS_MIN` pairs and no folds.
    """
    if all(folds):
        fold = np.unique(np.array(folds), return_inverse=True)[1]
    elif len(same) >= FOLD_PAIRS_MIN:
        fold = np.zeros(len(same), np.int64)
        for kind in (same, ~same):
            fold[kind] = np.arange(int(kind.sum())) * FOLDS // max(1, int(kind.sum()))
    else:
        return None
    count = int(fold.max()) + 1
    if count < 2:
        return None
    rates = []
    for number in range(count):
        test = fold == number
        threshold = _best_threshold(same[~test], scores[~test])
        right = (scores[test] > threshold) == same[test]
        rates.append(float((right & np.isfinite(scores[test])).mean()))
    return float(np.mean(rates)), float(np.std(rates, ddof=1) / np.sqrt(count))


def _best_threshold(same: Mask, scores: npt.NDArray[np.float32]) -> float:
    seen = np.isfinite(scores)
    genuine, impostor = np.sort(scores[seen & same]), np.sort(scores[seen & ~same])
    candidates = np.unique(scores[seen])
    if not len(candidates):
        return 0.0
    right = (np.searchsorted(impostor, candidates, "right")
             - np.searchsorted(genuine, candidates, "right"))
    return float(candidates[int(np.argmax(right))])
