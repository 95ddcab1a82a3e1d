"""Whoever collects the plaintext of many cards, but not a day's keys, tries to tell who is who."""

import numpy as np

from edge.hotpath.card import _hidden
from edge.hotpath.keys import DerivedKeys
from edge.protocol.records import EpochKeys, ReferenceRecord
from tests.fakes.ports import PACK

PEOPLE = 100
LINKED_MAX = 6
"""One of a hundred is chance; seven and more would come once in ten thousand runs."""


def test_two_cards_of_one_person_are_not_told_from_two_peoples():
    rng = np.random.default_rng(11)
    faces = rng.integers(-127, 128, (PEOPLE, 128)).astype(np.int8)
    first, second = (_cards(faces, day) for day in (21_100, 21_101))
    other = _cards(faces, 21_100, offset=PEOPLE)
    # Two days; two credentials of one day; and the cards against the templates themselves.
    for left, right in ((first, second), (first, other), (first, faces)):
        for view in (_as_it_is, _sorted_magnitudes, _length):
            assert _linked(view(left), view(right)) <= LINKED_MAX


def test_the_guesses_would_link_if_there_were_something_to_link():
    rng = np.random.default_rng(11)
    faces = rng.integers(-127, 128, (PEOPLE, 128)).astype(np.int8)
    noisy = np.clip(faces + rng.integers(-3, 4, faces.shape), -127, 127)
    assert _linked(_as_it_is(faces), _as_it_is(noisy)) == PEOPLE
    permuted = noisy[:, rng.permutation(128)] * rng.choice((-1, 1), 128)
    assert _linked(_sorted_magnitudes(faces), _sorted_magnitudes(permuted)) > PEOPLE // 2


def _cards(faces, day: int, offset: int = 0) -> np.ndarray:
    keys = DerivedKeys(EpochKeys(
        key_epoch=day, master=day.to_bytes(32, "big"), seal_private=bytes([1] * 32)))
    rows = [
        _hidden(ReferenceRecord(holder_id=bytes(16), pack=PACK, template=face.tobytes(),
                                created_s=0), keys.card_key, (offset + n).to_bytes(16, "big"))
        for n, face in enumerate(faces)
    ]
    return np.frombuffer(b"".join(rows), np.int8).reshape(len(rows), -1)


def _as_it_is(rows) -> np.ndarray:
    values = rows.astype(np.float64)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def _sorted_magnitudes(rows) -> np.ndarray:
    return np.sort(np.abs(_as_it_is(rows)), axis=1)


def _length(rows) -> np.ndarray:
    return np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)


def _linked(left, right) -> int:
    """Count who is nearest to their own other row."""
    distances = np.linalg.norm(left[:, None, :] - right[None, :, :], axis=2)
    return int(np.sum(np.argmin(distances, axis=1) == np.arange(len(left))))
