"""The cohort beside a real store: follows it, is bounded, fair, and forgets at once."""

import hashlib

import numpy as np
import pytest

from edge.cache.cohort import Cohort
from edge.cache.store import LmdbStore
from edge.node_key import NodeKey
from edge.protocol.feed import DropReference, PutReference
from edge.protocol.records import ReferenceRecord

PACK, DIMENSIONS, CAPACITY = "p1", 16, 50


def holder(number: int) -> bytes:
    return hashlib.sha256(b"holder %d" % number).digest()[:16]


def row_of(number: int, dimensions: int = DIMENSIONS) -> np.ndarray:
    return np.random.default_rng(number).integers(1, 128, dimensions).astype(np.int8)


def put(number: int, *, pack: str = PACK, row: np.ndarray | None = None) -> PutReference:
    template = row_of(number) if row is None else row
    return PutReference(ReferenceRecord(
        holder_id=holder(number), pack=pack, template=template.tobytes(), created_s=0))


@pytest.fixture
def store(tmp_path):
    store = LmdbStore(tmp_path, NodeKey(bytes(32)).derive, map_bytes=1 << 22)
    yield store
    store.close()


@pytest.fixture
def cohort(store):
    cohort = Cohort(PACK, DIMENSIONS, store.rank, CAPACITY)
    store.add_sink(cohort)
    return cohort


def refill(cohort: Cohort, store: LmdbStore) -> None:
    cohort.refill((record.holder_id, np.frombuffer(record.template, np.int8))
                  for _, record in store.references(PACK))


def stored(store: LmdbStore, *numbers: int) -> dict[bytes, bytes]:
    return {holder(number): store.reference(holder(number), PACK).template for number in numbers}


def held(cohort: Cohort) -> dict[bytes, bytes]:
    view = cohort.view
    assert sorted(view.index.values()) == list(range(len(view)))
    assert view.rows.flags.c_contiguous
    lengths = np.linalg.norm(view.rows.astype(np.float32), axis=1)
    assert np.allclose(view.inverse_norms * lengths, 1)
    return {who: view.rows[row].tobytes() for who, row in view.index.items()}


def test_it_follows_what_the_store_holds(store, cohort):
    store.apply([put(number) for number in range(5)], 1, {})
    store.apply([DropReference(holder(1), PACK), put(2, row=row_of(99)), put(7, pack="p2")], 2, {})
    assert held(cohort) == stored(store, 0, 2, 3, 4)


def test_a_view_once_taken_never_changes(store, cohort):
    store.apply([put(number) for number in range(5)], 1, {})
    before = cohort.view
    rows, index = before.rows.copy(), dict(before.index)
    store.apply([DropReference(holder(0), PACK), put(3, row=row_of(50)), put(9)], 2, {})
    assert np.array_equal(before.rows, rows)
    assert before.index == index
    assert cohort.view.version > before.version
    assert cohort.view is cohort.view


def test_readers_do_not_wait_for_a_refill(store, cohort):
    store.apply([put(number) for number in range(5)], 1, {})
    before = cohort.view
    seen = []

    def slowly():
        for number in (1, 2):
            seen.append(cohort.view)
            yield holder(number), row_of(number)

    cohort.refill(slowly())
    assert seen == [before, before]
    assert set(held(cohort)) == {holder(1), holder(2)}


def test_of_more_than_there_is_room_for_the_same_are_drawn_in_any_order_and_after_a_restart(
    store, cohort
):
    store.apply([put(number) for number in range(200)], 1, {})
    drawn = held(cohort)
    assert len(drawn) == CAPACITY
    ranked = sorted((holder(number) for number in range(200)), key=store.rank)
    assert set(drawn) == set(ranked[:CAPACITY])
    backwards = Cohort(PACK, DIMENSIONS, store.rank, CAPACITY)
    for number in reversed(range(200)):
        record = store.reference(holder(number), PACK)
        backwards.put(holder(number), PACK, np.frombuffer(record.template, np.int8))
    anew = Cohort(PACK, DIMENSIONS, store.rank, CAPACITY)
    refill(anew, store)
    assert held(backwards) == held(anew) == drawn


def test_a_cohort_that_lost_many_takes_in_who_once_found_no_room(store, cohort):
    store.apply([put(number) for number in range(200)], 1, {})
    lost = list(cohort.view.index)[:6]
    store.apply([DropReference(who, PACK) for who in lost[:5]], 2, {})
    assert not cohort.wants_refill
    store.apply([DropReference(lost[5], PACK)], 3, {})
    assert cohort.wants_refill
    assert not set(lost) & set(held(cohort))
    refill(cohort, store)
    assert len(held(cohort)) == CAPACITY
    assert not set(lost) & set(held(cohort))
    assert not cohort.wants_refill


@pytest.mark.parametrize("row", [
    np.zeros(DIMENSIONS, np.int8), row_of(1, DIMENSIONS + 1), np.zeros(0, np.int8),
], ids=["empty", "of another length", "nothing"])
def test_rows_that_cannot_be_compared_are_passed_over(cohort, row):
    cohort.put(holder(1), PACK, row)
    assert not held(cohort)


def test_who_agreed_to_nothing_of_the_kind_is_in_no_cohort(store, cohort):
    other = ReferenceRecord(holder_id=holder(1), pack=PACK, template=row_of(1).tobytes(),
                            created_s=0, purpose="something else")
    store.apply([PutReference(other)], 1, {})
    refill(cohort, store)
    assert not held(cohort)
