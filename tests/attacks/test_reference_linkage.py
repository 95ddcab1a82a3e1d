"""Linkage (ISO/IEC 24745): whose reference is it, asked of two sites' stores side by side.

- The attacker has more than a stolen disk gives: rows unsealed, the very same template enrolled at
  both sites, and for every row of one site guesses the row of the other.
- Each way of guessing is first shown to work against something weaker.
"""

import hashlib
from collections.abc import Callable

import lmdb
import numpy as np
import pytest

from edge.cache.store import LmdbStore
from edge.hotpath.renewal import derive_rotation, renew, renewal_matrix
from edge.node_key import NodeKey
from edge.protocol.feed import PutReference
from edge.protocol.records import ReferenceRecord

PEOPLE = 400
CHANCE_HITS_MAX = 8
"""One hit is expected by chance; more than this comes once in a million trials."""
SIZES = (128, 512)
Rows = np.ndarray


def templates(d):
    """Rows as packs make them: a common mean and unequal axes."""
    rng = np.random.default_rng(d)
    axes = 1.0 / np.sqrt(1.0 + np.arange(d) / 8)
    rows = rng.normal(size=d) * 0.4 + rng.normal(size=(PEOPLE, d)) * axes
    return np.rint(rows * (127 / abs(rows).max(axis=1, keepdims=True))).astype(np.int8)


def site(rows, name):
    key = hashlib.sha256(name.encode()).digest()
    return renew(rows, None, renewal_matrix(None, derive_rotation(key, "p", rows.shape[1])))[0]


def permuted(rows, seed):
    """The weaker protection: columns shuffled and signs flipped by a key."""
    rng = np.random.default_rng(seed)
    return rows[:, rng.permutation(rows.shape[1])] * rng.choice([-1, 1], rows.shape[1])


def unit(rows):
    rows = rows.astype(float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_cosine(rows: Rows) -> Rows:
    return unit(rows)


def by_sorted_magnitudes(rows: Rows) -> Rows:
    return np.sort(abs(unit(rows)), axis=1)


def by_sorted_values(rows: Rows) -> Rows:
    return np.sort(unit(rows), axis=1)


def by_length(rows: Rows) -> Rows:
    return np.linalg.norm(rows.astype(float), axis=1, keepdims=True)


def by_moments(rows: Rows) -> Rows:
    x = unit(rows) * np.sqrt(rows.shape[1])
    moments = np.stack([(abs(x) ** k).mean(axis=1) for k in (1, 3, 4, 6)] + [abs(x).max(axis=1)], 1)
    return moments / moments.std(axis=0)


def by_scores_within(rows: Rows) -> Rows:
    return np.sort(unit(rows) @ unit(rows).T, axis=1)


def hits(one: Rows, other: Rows, mark: Callable[[Rows], Rows]) -> int:
    """Count the rows whose nearest mark at the other site is the same person's."""
    a, b = mark(one), mark(other)
    apart = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
    return int((apart.argmin(axis=1) == np.arange(len(a))).sum())


GUESSES = (by_cosine, by_sorted_magnitudes, by_sorted_values, by_length, by_moments)


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("mark", GUESSES)
def test_two_sites_stores_can_not_be_linked(d, mark):
    rows = templates(d)
    assert hits(site(rows, "hotel"), site(rows, "bank"), mark) <= CHANCE_HITS_MAX


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("mark", GUESSES)
def test_a_renewed_store_can_not_be_linked_with_what_was_stolen_before(d, mark):
    rows = templates(d)
    before = derive_rotation(bytes(32), "p", d)
    coarse, fine = renew(rows, None, renewal_matrix(None, before))
    after, _ = renew(coarse, fine, renewal_matrix(before, derive_rotation(bytes([1] * 32), "p", d)))
    assert hits(coarse, after, mark) <= CHANCE_HITS_MAX


@pytest.mark.parametrize("mark", GUESSES)
def test_every_guess_links_templates_that_are_not_protected(mark):
    rows = templates(128)
    assert hits(rows, rows, mark) >= 0.9 * PEOPLE


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("mark", [by_sorted_magnitudes, by_length, by_moments])
def test_a_signed_permutation_alone_would_be_linked(d, mark):
    rows = templates(d)
    assert hits(permuted(rows, 1), permuted(rows, 2), mark) >= 0.9 * PEOPLE


def test_scores_within_a_store_stay_so_rows_are_sealed_as_well():
    """What no protection that keeps comparisons can hide: docs/adr/0006, "What it doesn't do"."""
    rows = templates(128)
    assert hits(site(rows, "hotel"), site(rows, "bank"), by_scores_within) >= 0.9 * PEOPLE


def test_two_sites_disks_have_nothing_in_common(tmp_path):
    rows = templates(128)[:64]
    changes = [
        PutReference(ReferenceRecord(
            holder_id=hashlib.sha256(bytes([n])).digest()[:16], pack="p", template=row.tobytes(),
            created_s=1))
        for n, row in enumerate(rows)]
    disks = []
    for n in (1, 2):
        store = LmdbStore(tmp_path / str(n), NodeKey(bytes([n] * 32)).derive)
        store.apply(changes, 1, {})
        store.close()
        env = lmdb.open(str(tmp_path / str(n)), max_dbs=8, readonly=True)
        with env.begin(db=env.open_db(b"references", create=False)) as txn:
            disks.append(list(txn.cursor()))
        env.close()
    assert not {key for key, _ in disks[0]} & {key for key, _ in disks[1]}
    runs = [{value[n : n + 6] for _, value in disk for n in range(len(value) - 5)}
            for disk in disks]
    assert not runs[0] & runs[1]
    assert len({len(value) for disk in disks for _, value in disk}) == 1
