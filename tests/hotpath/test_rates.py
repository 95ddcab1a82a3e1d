"""Thresholds for a rate, intervals over persons, and the gallery's rate."""

import numpy as np
import pytest

from edge.hotpath.rates import (
    ERRORS_MIN,
    Point,
    all_pairs_drawn,
    drawn_pairs,
    fit_threshold,
    identification_fmr,
    person_weights,
    rate_interval,
    serving_point,
    threshold_interval,
    upper_limit_of_none,
)

POINTS = (Point(fmr=1e-3, threshold=0.93, fnmr=0.05), Point(fmr=1e-4, threshold=0.94, fnmr=0.1))


@pytest.mark.parametrize(("fpir", "gallery"), [(0.01, 1), (0.01, 10_000), (0.001, 2_230_000)])
def test_a_gallery_searched_at_its_fmr_errs_as_rarely_as_asked(fpir, gallery):
    fmr = identification_fmr(fpir, gallery)
    assert -np.expm1(gallery * np.log1p(-fmr)) == pytest.approx(fpir, rel=1e-9)
    assert fmr == pytest.approx(fpir / gallery, rel=fpir)


@pytest.mark.parametrize(("fpir", "gallery"), [(0.0, 5), (1.0, 5), (0.1, 0), (float("nan"), 5)])
def test_a_gallery_rate_that_makes_no_sense_is_refused(fpir, gallery):
    with pytest.raises(ValueError, match="rate"):
        identification_fmr(fpir, gallery)


def test_the_serving_point_never_errs_more_than_asked():
    assert serving_point(POINTS, 1e-2).fmr == 1e-3
    assert serving_point(POINTS, 1e-3).fmr == 1e-3
    assert serving_point(POINTS, 9e-4).fmr == 1e-4
    assert serving_point(POINTS, 9e-5) is None


def test_a_threshold_has_at_least_ten_errors_behind_it_and_never_more_than_asked():
    descending = np.arange(1000, 0, -1, dtype=np.float32) / 1000
    assert fit_threshold(descending, 1000, 0.0099) is None
    threshold, errors = fit_threshold(descending, 1000, 0.01)
    assert errors == ERRORS_MIN == int((descending > threshold).sum())
    tied = np.concatenate([np.full(50, 0.9, np.float32), descending[500:]])
    threshold, errors = fit_threshold(tied, len(tied), 0.02)
    assert (threshold, errors) == (pytest.approx(0.9), 0)


def test_shared_persons_widen_an_interval():
    """Twenty errors of one person say less than twenty errors of forty persons."""
    weights = person_weights(100, seed=1)
    trials = all_pairs_drawn(weights, np.ones(100, np.int64))
    alone = np.array([[0, other] for other in range(1, 21)], np.int32)
    apart = np.array([[2 * i, 2 * i + 1] for i in range(20)], np.int32)
    low, high = rate_interval(drawn_pairs(weights, alone), trials, 50)
    low_apart, high_apart = rate_interval(drawn_pairs(weights, apart), trials, 50)
    rate = 20 / (100 * 99 / 2)
    assert low <= rate <= high
    assert low_apart <= rate <= high_apart
    assert high - low > 1.5 * (high_apart - low_apart)


def test_no_error_seen_is_no_proof_of_none():
    weights = person_weights(40, seed=2)
    trials = all_pairs_drawn(weights, np.ones(40, np.int64))
    low, high = rate_interval(np.zeros(len(weights)), trials, independent=20)
    assert low == 0.0
    assert high == upper_limit_of_none(20) == pytest.approx(0.1684, abs=1e-4)
    assert upper_limit_of_none(0) == 1.0


def test_all_pairs_are_counted_as_if_they_were_listed():
    weights, images = person_weights(9, seed=3), np.array([1, 2, 3, 1, 1, 4, 2, 2, 1])
    listed = np.array([
        [a, b] for a in range(9) for b in range(a) for _ in range(images[a] * images[b])
    ], np.int32)
    assert np.allclose(all_pairs_drawn(weights, images), drawn_pairs(weights, listed))


def test_the_interval_of_a_threshold_holds_the_threshold():
    rng = np.random.default_rng(4)
    pairs = np.array([[a, b] for a in range(120) for b in range(a)], np.int32)
    scores = rng.normal(size=len(pairs)).astype(np.float32)
    order = np.argsort(-scores)
    weights = person_weights(120, seed=5)
    trials = all_pairs_drawn(weights, np.ones(120, np.int64))
    threshold, _ = fit_threshold(scores[order], len(pairs), 0.01)
    low, high = threshold_interval(scores[order], pairs[order], weights, trials, 0.01)
    assert low < threshold < high
    assert high - low < 0.5
