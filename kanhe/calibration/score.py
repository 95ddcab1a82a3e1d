"""Scores labelled images: every genuine comparison, the highest impostor ones, a histogram.

- Of all pairs of a large folder only the impostor scores that thresholds can lie among are
  kept with their images; the rest are counted by score.
- A genuine pair with a failure to acquire scores minus infinity, so that it is missed at any
  threshold; an impostor pair with one isn't a comparison and would only flatter the FMR.
"""

import itertools
import math

import msgspec
import numpy as np
import numpy.typing as npt

from kanhe.calibration.gather import Images, Judged

TAIL_SHARE = 0.4
"""Of the impostor scores, the highest kept: four times what an FMR of 0.1 needs."""
TAIL_MAX = 4_000_000
BINS = 400
"""Over the scores −1 to 1."""
BLOCK_ROWS, BLOCK_PAIRS = 512, 65_536

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int32]


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """The comparisons of labelled images.

    Attributes:
        genuine, genuine_images: Scores, and the two images of each.
        impostor, impostor_images: The highest, falling.
        impostor_total: How many impostor comparisons there were.
        impostor_counts: Of all of them by score, (BINS,).
        all_pairs: Whether every pair of images was compared.
    """

    genuine: Floats
    genuine_images: Places
    impostor: Floats
    impostor_images: Places
    impostor_total: int
    impostor_counts: npt.NDArray[np.int64]
    all_pairs: bool


def score_images(images: Images, judged: Judged) -> Scored:
    """Compare the listed pairs, or all."""
    return _score_all(images, judged) if images.pairs is None else _score_listed(images, judged)


def pair_scores(images: Images, judged: Judged) -> Floats:
    """Give the score of each listed pair, minus infinity where an image has no usable face."""
    places = np.array([(pair.a, pair.b) for pair in images.pairs or ()], np.int32).reshape(-1, 2)
    return _scores_of(places, judged)


def histogram(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Count scores by bin; minus infinity is in none."""
    return np.histogram(scores[np.isfinite(scores)], BINS, (-1.0, 1.0))[0].astype(np.int64)


def _scores_of(places: Places, judged: Judged) -> Floats:
    one, other = places[:, 0], places[:, 1]
    scores = np.zeros(len(places), np.float32)
    for start in range(0, len(places), BLOCK_PAIRS):
        here = slice(start, start + BLOCK_PAIRS)
        scores[here] = np.einsum("ij,ij->i", judged.unit[one[here]], judged.unit[other[here]])
    whole = judged.acquired[one] & judged.acquired[other]
    return np.where(whole, scores, -np.inf).astype(np.float32)


def _score_listed(images: Images, judged: Judged) -> Scored:
    pairs = images.pairs or ()
    places = np.array([(pair.a, pair.b) for pair in pairs], np.int32).reshape(-1, 2)
    same = np.array([pair.same for pair in pairs], np.bool_)
    scores = _scores_of(places, judged)
    impostor = ~same & np.isfinite(scores)
    order = np.argsort(-scores[impostor], kind="stable")
    return Scored(
        genuine=scores[same], genuine_images=places[same], impostor=scores[impostor][order],
        impostor_images=places[impostor][order], impostor_total=int(impostor.sum()),
        impostor_counts=histogram(scores[impostor]), all_pairs=False,
    )


def _score_all(images: Images, judged: Judged) -> Scored:
    persons = images.persons
    genuine: list[tuple[int, int]] = []
    for person in range(int(persons.max()) + 1):
        genuine.extend(itertools.combinations(np.nonzero(persons == person)[0].tolist(), 2))
    places = np.array(genuine, np.int32).reshape(-1, 2)
    seen = np.nonzero(judged.acquired)[0].astype(np.int32)
    unit, who = judged.unit[seen], persons[seen]
    sizes = np.bincount(who)
    total = int((len(seen) ** 2 - (sizes**2).sum()) // 2)
    keep = min(math.ceil(TAIL_SHARE * total), TAIL_MAX)
    tail, pairs = np.zeros(0, np.float32), np.zeros((0, 2), np.int32)
    counts = np.zeros(BINS, np.int64)
    for start in range(0, len(seen), BLOCK_ROWS):
        block = unit[start : start + BLOCK_ROWS] @ unit.T
        here = np.arange(start, start + len(block))
        one, other = np.nonzero(
            (np.arange(len(seen)) > here[:, None]) & (who != who[here][:, None]))
        values = block[one, other]
        counts += histogram(values)
        tail = np.concatenate([tail, values])
        pairs = np.concatenate([pairs, np.stack([seen[one + start], seen[other]], 1)])
        if len(tail) > keep:
            best = np.argpartition(-tail, keep - 1)[:keep] if keep else slice(0)
            tail, pairs = tail[best], pairs[best]
    order = np.argsort(-tail, kind="stable")
    return Scored(
        genuine=_scores_of(places, judged), genuine_images=places, impostor=tail[order],
        impostor_images=pairs[order], impostor_total=total, impostor_counts=counts, all_pairs=True,
    )
