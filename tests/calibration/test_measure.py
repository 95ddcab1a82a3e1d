"""Gathering, scoring and measuring, with faces that are made of their file's text."""

import csv
import io
import math

import numpy as np
import pytest

from edge.errors import ConfigError, ImageError
from edge.hotpath.holder import Probe, ProbeFault
from edge.hotpath.reasons import Reason
from edge.models.engine import to_template
from kanhe.calibration.gather import find_people, judge_images, read_groups, read_pairs
from kanhe.calibration.measure import FMRS, Measurer, fold_accuracy
from kanhe.calibration.score import BINS, pair_scores, score_images
from kanhe.commands.face import summarise, write_rows

DIMENSIONS = 32


def judge(images) -> Probe | ProbeFault:
    """See the person and the capture that a file's text names, or nobody."""
    text = images[0].decode()
    if text == "damaged":
        raise ImageError("damaged", "the image is damaged")
    if text == "nobody":
        return ProbeFault(Reason.FACE_ABSENT)
    person, capture = map(int, text.split())
    features = np.random.default_rng(person).normal(size=DIMENSIONS) + 0.6 * np.random.default_rng(
        [person, capture]).normal(size=DIMENSIONS)
    return Probe(pack="p", template=to_template(features.astype(np.float32)), quality=1.0,
                 components={})


def quiet(done: int, total: int, doing: str) -> None:
    pass


def build(root, persons: int, captures: int) -> None:
    for person in range(persons):
        (root / f"person{person:03d}").mkdir()
        for capture in range(captures):
            (root / f"person{person:03d}" / f"{capture}.jpg").write_text(f"{person} {capture}")


def write_csv(path, *rows) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def people(tmp_path):
    build(tmp_path, 40, 3)
    (tmp_path / "person000" / "1.jpg").write_text("nobody")
    (tmp_path / "person001" / "2.jpg").write_text("damaged")
    (tmp_path / "notes.txt").write_text("not a person")
    return tmp_path


@pytest.fixture
def measurer(people):
    images = find_people(people)
    judged = judge_images(images, people, judge, quiet)
    return Measurer(images, judged, score_images(images, judged)), images, judged


def test_every_pair_of_a_folder_is_compared_and_failures_are_kept(people, measurer):
    _, images, judged = measurer
    scored = score_images(images, judged)
    assert set(judged.faults.values()) == {"face_absent", "the image is damaged"}
    assert len(scored.genuine) == 40 * 3
    assert int(np.isinf(scored.genuine).sum()) == 4
    seen = 118
    same = 38 * 9 + 2 * 4
    assert scored.impostor_total == scored.impostor_counts.sum() == (seen**2 - same) // 2
    assert (np.diff(scored.impostor) <= 0).all()
    assert len(scored.impostor) == math.ceil(0.4 * scored.impostor_total)
    assert len(scored.impostor_counts) == BINS
    (a, b), best = scored.impostor_images[0], scored.impostor[0]
    assert judged.unit[a] @ judged.unit[b] == pytest.approx(best, abs=1e-6)
    assert images.persons[a] != images.persons[b]


def test_points_are_fitted_only_where_ten_errors_stand_behind_them(measurer):
    found = measurer[0].measure({})
    assert [point.fmr for point in found.points] == [1e-1, 1e-2]
    assert found.unborne == (1e-3, 1e-4, 1e-5)
    assert set(FMRS) == {1e-1, 1e-2, 1e-3, 1e-4, 1e-5}
    for point in found.points:
        assert point.errors >= 10
        rate = measurer[0].fmr(point.threshold)
        assert rate.errors == point.errors
        assert rate.rate <= point.fmr
        assert point.fmr_low < rate.rate < point.fmr_high
        assert point.fnmr_low <= point.fnmr <= point.fnmr_high
        # Four of the 120 genuine comparisons couldn't be made, and count as missed.
        assert point.fnmr >= 4 / 120


def test_groups_are_measured_at_the_thresholds_of_all(people, measurer, tmp_path):
    counted, images, _ = measurer
    path = tmp_path / "groups.csv"
    write_csv(path, ["name", "group"], *[
        [f"person{person:03d}", "north" if person < 10 else "south"] for person in range(40)])
    groups = read_groups(path, images)
    found = counted.measure(groups)
    fmr = found.points[0].fmr
    north, south = found.groups["north"].fmr[fmr], found.groups["south"].fmr[fmr]
    seen_north = 10 * 3 - 2
    assert north.trials == (seen_north**2 - 8 * 9 - 2 * 4) // 2
    assert south.trials == (90**2 - 30 * 9) // 2
    everybody = {"all": np.ones(40, np.bool_)}
    assert counted.measure(everybody).groups["all"].fmr[fmr] == counted.fmr(
        found.points[0].threshold)
    assert found.groups["north"].fnmr[fmr].errors >= 4
    write_csv(path, ["name", "group"], ["stranger", "x"])
    with pytest.raises(ConfigError, match="names no person"):
        read_groups(path, images)


def test_a_group_of_one_has_no_rate_instead_of_a_good_one(measurer):
    alone = np.zeros(40, np.bool_)
    alone[5] = True
    found = measurer[0].measure({"alone": alone}).groups["alone"]
    assert found.fmr[1e-1].rate is None
    assert found.fmr[1e-1].interval == (0.0, 1.0)


def test_pairs_tell_persons_apart_and_keep_their_order(people):
    path = people / "pairs.csv"
    rows = [["person002/0.jpg", "person002/1.jpg", 1], ["person002/1.jpg", "person002/2.jpg", 1],
            ["person003/0.jpg", "person002/0.jpg", 0], ["person000/1.jpg", "person000/0.jpg", 1],
            ["person000/1.jpg", "person004/0.jpg", 0]]
    write_csv(path, ["a", "b", "same"], *rows)
    images = read_pairs(path)
    assert len(images.labels) == 4
    judged = judge_images(images, people, judge, quiet)
    scores = pair_scores(images, judged)
    scored = score_images(images, judged)
    assert (len(scored.genuine), scored.impostor_total) == (3, 1)
    out = io.StringIO()
    write_rows(out, images, scores)
    written = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [(row["a"], row["b"], int(row["same"])) for row in written] == [tuple(r) for r in rows]
    assert [row["score"] == "" for row in written] == [False, False, False, True, True]
    summary = summarise(images, judged, scores)
    assert summary["fta"] == round(1 / 7, 4)
    assert summary["fnmr_at_fmr"] == {}
    assert "fold_accuracy" not in summary


@pytest.mark.parametrize("rows", [
    [["a", "b"], ["x", "y"]], [["a", "b", "same"]], [["a", "b", "same"], ["x", "y", "yes"]],
    [["a", "b", "same"], ["x", "", "1"]],
], ids=["no column", "no row", "no number", "no path"])
def test_pairs_of_another_form_are_an_error_that_says_so(tmp_path, rows):
    write_csv(tmp_path / "pairs.csv", *rows)
    with pytest.raises(ConfigError, match=r"pairs\.csv"):
        read_pairs(tmp_path / "pairs.csv")


def test_a_wrong_folder_is_an_error_and_not_a_bad_model(people, tmp_path):
    path = people / "pairs.csv"
    write_csv(path, ["a", "b", "same"], ["person002/0.jpg", "nowhere.jpg", 0])
    with pytest.raises(ConfigError, match="paths begin in"):
        judge_images(read_pairs(path), people, judge, quiet)
    with pytest.raises(ConfigError, match="usable face"):
        judge_images(find_people(people), people, lambda _: ProbeFault(Reason.FACE_ABSENT), quiet)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="two at least"):
        find_people(tmp_path / "empty")


def test_folds_are_judged_by_the_threshold_of_the_others():
    same = np.array([True, False] * 6)
    scores = np.where(same, 0.9, 0.1).astype(np.float32)
    folds = ["x"] * 4 + ["y"] * 4 + ["z"] * 4
    assert fold_accuracy(same, scores, folds) == (1.0, 0.0)
    assert fold_accuracy(same, scores, [""] * 12) is None
    # In one fold the two kinds are swapped: its own pairs mustn't have a say in its threshold.
    swapped = scores.copy()
    swapped[8:] = np.where(same[8:], 0.1, 0.9)
    assert fold_accuracy(same, swapped, folds)[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize("kind", [True, False], ids=["genuine", "impostor"])
def test_a_failure_to_acquire_is_never_right(kind):
    same = np.array([True, False] * 6)
    scores = np.where(same, 0.9, 0.1).astype(np.float32)
    scores[np.nonzero(same == kind)[0][0]] = -np.inf
    assert fold_accuracy(same, scores, ["x"] * 6 + ["y"] * 6)[0] == pytest.approx(11 / 12)


@pytest.mark.parametrize("shuffled", [False, True])
def test_six_thousand_pairs_are_cut_into_ten_folds_of_both_kinds(shuffled):
    """In LFW's order (300 same, 300 different, ten times) and with all genuine pairs first."""
    same = np.tile(np.repeat([True, False], 300), 10)
    if shuffled:
        same = np.sort(same)[::-1]
    rng = np.random.default_rng(1)
    scores = (rng.normal(size=6_000) + 5 * same).astype(np.float32)
    mean, error = fold_accuracy(same, scores, [""] * 6_000)
    assert 0.98 < mean < 1.0
    assert 0 < error < 0.01
