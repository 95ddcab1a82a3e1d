"""Population normalisation: who is left out, what it gains, and whether its rates are real."""

import numpy as np
import pytest

from edge.hotpath.kernels import top_mean, top_mean_plain
from edge.hotpath.normalise import (
    CohortView,
    bears,
    calibrate,
    cohort_mean,
    impostor_tail,
    score_shift,
    top_count,
    view_of,
)
from edge.models.engine import to_template

DIMENSIONS = 128
SPREADS = np.array([1.5, 1.5, 1.4, 1.2, 1.0])
"""How far apart persons of each group are: the last are alike, to the made-up model."""
SHARES = (0.3, 0.3, 0.2, 0.1, 0.1)
NOISE = 1.2


def unit(templates) -> np.ndarray:
    wide = templates.astype(np.float32)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


class Town:
    """Persons in groups whose features lie together; two captures of each."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.centres = unit(self.rng.normal(size=(len(SPREADS), DIMENSIONS)))

    def persons(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        group = self.rng.choice(len(SPREADS), count, p=SHARES)
        spread = SPREADS[group][:, None] / np.sqrt(DIMENSIONS)
        persons = self.centres[group] + spread * self.rng.normal(size=(count, DIMENSIONS))

        def captures() -> np.ndarray:
            seen = persons + NOISE * spread * self.rng.normal(size=persons.shape)
            return np.stack([to_template(row.astype(np.float32)) for row in seen])

        return captures(), captures()


def view(rows, version: int = 1) -> CohortView:
    return view_of(version, rows, [b"c%d" % row for row in range(len(rows))])


@pytest.fixture(scope="module")
def cohort() -> CohortView:
    return view(Town(1).persons(400)[0])


@pytest.mark.parametrize("seed", range(10))
def test_the_kernel_agrees_with_its_twin(seed):
    rng = np.random.default_rng(seed)
    made = view(rng.integers(-127, 128, (217, 128 if seed % 2 else 512)).astype(np.int8))
    query = rng.integers(-127, 128, made.rows.shape[1]).astype(np.int8)
    for left_out, count in ((-1, 3), (0, 3), (216, 20), (int(seed), 216)):
        args = (made.rows, made.inverse_norms, query, left_out, count)
        assert top_mean(*args) == pytest.approx(top_mean_plain(*args), abs=1e-5)


def test_an_empty_template_is_near_nobody_and_no_error(cohort):
    assert cohort_mean(cohort, np.zeros(DIMENSIONS, np.int8), None) == 0.0


def test_a_claimed_identitys_own_row_never_enters_its_cohort():
    """With and without the claimed one in the cohort, the shift is the same to the last bit."""
    references, probes = Town(2).persons(300)
    whole = view(references)
    for claimed in (0, 17, 299):
        others = np.delete(references, claimed, axis=0)
        without = view_of(1, others, [b"o%d" % row for row in range(len(others))])
        assert top_count(len(whole)) == top_count(len(without))
        probe, stored = probes[claimed], references[claimed]
        left_out = score_shift(whole, probe, stored, b"c%d" % claimed)
        assert left_out == score_shift(without, probe, stored, b"c%d" % claimed)
        assert left_out < score_shift(whole, probe, stored, b"somebody else")


def test_a_pairs_members_are_both_left_out_of_each_others_mean(cohort):
    scores, pairs = impostor_tail(cohort, 500)
    assert (np.diff(scores) <= 0).all()
    features, count = unit(cohort.rows), top_count(len(cohort))
    for place in (0, 1, 250, 499):
        one, other = pairs[place]
        rest = np.delete(features, [one, other], axis=0)
        means = [np.sort(rest @ features[who])[-count:].mean() for who in (one, other)]
        expected = features[one] @ features[other] - sum(means) / 2
        assert scores[place] == pytest.approx(expected, abs=1e-5)


def test_small_cohorts_bear_no_threshold_and_say_so(cohort):
    assert not bears(199, 0.5)
    assert bears(200, 1e-3)
    assert not bears(498, 1e-4)
    assert bears(500, 1e-4)
    calibration = calibrate(cohort, [1e-3, 1e-4])
    assert [point.fmr for point in calibration.points] == [1e-3]
    assert calibration.point(1e-4) is None
    point = calibration.point(1e-3)
    assert point.threshold_low < point.threshold < point.threshold_high
    assert point.errors == int(400 * 399 / 2 * 1e-3)
    assert not calibrate(view(cohort.rows[:199]), [1e-2]).points


@pytest.mark.parametrize("identities", [1_000, 2_000])
def test_normalised_scores_miss_fewer_and_keep_the_rate_they_were_calibrated_for(identities):
    """Cohort and tested persons are disjoint, as with strangers; both of one population."""
    raw_missed, missed, realised = [], [], {1e-3: [], 1e-4: []}
    for seed in range(3):
        town = Town(seed)
        made = view(town.persons(identities)[0])
        calibration = calibrate(made, realised)
        references, probes = town.persons(2000)
        raw = unit(probes) @ unit(references).T
        means = [np.array([cohort_mean(made, row, None) for row in rows])
                 for rows in (probes, references)]
        score = raw - (means[0][:, None] + means[1][None]) / 2
        own = np.eye(len(raw), dtype=bool)
        allowed = int(1e-4 * (~own).sum())
        for scores, rates in ((raw, raw_missed), (score, missed)):
            impostor = np.partition(scores[~own], -allowed - 1)[-allowed - 1]
            rates.append(float((scores[own] <= impostor).mean()))
        for fmr, rates in realised.items():
            rates.append(float((score[~own] > calibration.point(fmr).threshold).mean()) / fmr)
    assert np.mean(raw_missed) > 0.1
    assert np.mean(missed) <= 0.7 * np.mean(raw_missed)
    for rates in realised.values():
        assert 0.8 <= np.mean(rates) <= 1.25
