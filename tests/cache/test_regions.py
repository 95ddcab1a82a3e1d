"""A store that holds some regions: what the feed does, who moves, and what else is asked for."""

import msgspec
import pytest

from edge.cache.bulk import BulkStore
from edge.cache.regions import SEEN_MAX, is_of, packed, region_of, seen_with, unpacked
from edge.cache.replaceable import SEEN, WITH_REGIONS
from edge.cache.selective import SelectiveStore
from edge.protocol.feed import (
    DropCredential,
    DropReference,
    PutCredential,
    PutPolicy,
    PutReference,
)
from tests.cache.test_selective import KEY, NOW, Ear, credential, reference, revoked
from tests.fakes.city import id_of, policy

OURS = frozenset({"a", "b"})
MA = id_of("holder ma")


def put(name: str, region: str, holder: str = "") -> PutCredential:
    return PutCredential(msgspec.structs.replace(credential(name, holder), region=region))


def face(holder: str, region: str) -> PutReference:
    return PutReference(msgspec.structs.replace(reference(holder).reference, region=region))


def open_store(folder) -> SelectiveStore:
    return SelectiveStore(folder / "cache", KEY.derive, map_bytes=1 << 22)


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path)
    assert store.covers(OURS)
    store.hold_part(10, OURS)
    yield store
    store.close()


def names(store, *asked: str) -> set[str]:
    """Of the credentials asked for, those held."""
    return {name for name in asked if store.credential(id_of(name)) is not None}


def faces(store, *holders: str) -> set[str]:
    return {name for name in holders
            if store.reference(id_of(f"holder {name}"), "p") is not None}


# --- the filter


def test_records_of_our_regions_are_for_us_and_what_is_of_nobody_is():
    assert is_of(OURS, put("ma", "a")) and is_of(OURS, face("ma", "b"))
    assert not is_of(OURS, put("ma", "c")) and not is_of(OURS, face("ma", "c"))
    assert not is_of(OURS, put("ma", ""))
    for change in (revoked("ma"), PutPolicy(policy("hotel")), DropCredential(id_of("ma")),
                   DropReference(MA, "p")):
        assert region_of(change) is None
        assert is_of(OURS, change) and is_of(frozenset(), change)


def test_record_of_no_region_is_for_nobodys_region():
    assert not is_of(frozenset(), put("ma", ""))
    assert not is_of(OURS, face("ma", ""))


def test_regions_seen_are_bounded_but_for_the_configured_ones():
    seen = seen_with(frozenset(), (f"r{n:05d}" for n in range(SEEN_MAX + 5)), OURS)
    assert len(seen) == SEEN_MAX
    assert seen_with(seen, ["zz", "b", None, ""], OURS) == seen | {"b"}
    assert unpacked(packed(seen)) == seen
    assert unpacked(packed(frozenset())) == unpacked(None) == frozenset()


# --- the feed


def test_feed_brings_our_regions_whole_and_nothing_of_others(store):
    store.apply([face("ma", "a"), put("ma", "a"), put("li", "c"), face("li", "c"), put("wu", ""),
                 put("qi", "b"), revoked("li"), PutPolicy(policy("hotel"))], 8, {})
    assert names(store, "ma", "li", "wu", "qi") == {"ma", "qi"}
    assert faces(store, "ma", "li") == {"ma"}
    assert (store.cursor(), store.terms, set(store.policies())) == (8, 0, {"hotel"})
    assert store.status(id_of("li")) is not None
    assert store.seen == {"a", "b", "c"}
    assert store.lapse(NOW * 9) == 0


@pytest.mark.parametrize("face_first", [False, True])
def test_who_moves_away_is_let_go_of_with_the_change(store, face_first):
    ear = Ear()
    store.add_sink(ear)
    store.apply([put("id", "a", "ma"), put("licence", "a", "ma"), face("ma", "a")], 3, {})
    assert ear.held == {MA}
    moves = [put("id", "c", "ma"), put("licence", "c", "ma"), face("ma", "c")]
    store.apply(moves[-1:] + moves[:-1] if face_first else moves, 6, {})
    assert names(store, "id", "licence") == set()
    assert store.credentials_of(MA) == []
    assert (faces(store, "ma"), store.faces, ear.held) == (set(), 0, set())
    assert store.lapsed == {"moved": 2}


def test_who_moves_here_is_taken_up_and_between_our_regions_stays(store):
    store.apply([put("ma", "c"), face("ma", "c")], 2, {})
    assert names(store, "ma") == set()
    store.apply([put("ma", "a"), face("ma", "a")], 4, {})
    assert (names(store, "ma"), faces(store, "ma")) == ({"ma"}, {"ma"})
    store.apply([put("ma", "b"), face("ma", "b")], 6, {})
    assert (names(store, "ma"), faces(store, "ma")) == ({"ma"}, {"ma"})
    assert store.credential(id_of("ma")).region == "b"
    assert store.lapsed == {}


def test_face_that_comes_before_any_credential_is_held_and_goes_with_the_move(store):
    store.apply([face("ma", "a")], 1, {})
    assert faces(store, "ma") == {"ma"}
    store.apply([face("ma", "c")], 2, {})
    assert faces(store, "ma") == set()


def test_face_of_our_region_outlives_the_last_credential(store):
    # The next credential's change wouldn't bring it again.
    store.apply([put("ma", "a"), face("ma", "a"), DropCredential(id_of("ma"))], 3, {})
    assert (names(store, "ma"), faces(store, "ma")) == (set(), {"ma"})


# --- what is asked for besides


def test_guest_of_another_region_ends_with_the_time_and_ours_do_not(store):
    store.apply([put("ma", "a"), face("ma", "a")], 2, {})
    store.take_in([put("li", "c"), face("li", "c"), put("ma", "a"), face("ma", "a")],
                  NOW, NOW + 60)
    assert (names(store, "ma", "li"), store.terms) == ({"ma", "li"}, 1)
    assert faces(store, "ma", "li") == {"ma", "li"}
    assert store.lapse(NOW + 60) == 1
    assert (names(store, "ma", "li"), faces(store, "ma", "li")) == ({"ma"}, {"ma"})


def test_feed_changes_a_guest_and_brings_what_the_guest_is_granted(store):
    store.take_in([put("id", "c", "li")], NOW, NOW + 60)
    store.apply([put("licence", "c", "li"), face("li", "c")], 2, {})
    assert names(store, "id", "licence") == {"id", "licence"}
    assert faces(store, "li") == {"li"}
    assert store.lapse(NOW + 60) == 2
    assert faces(store, "li") == set()


def test_guest_who_moves_here_stays(store):
    store.take_in([put("li", "c"), face("li", "c")], NOW, NOW + 60)
    store.apply([put("li", "a"), face("li", "a")], 2, {})
    assert (store.terms, store.lapse(NOW + 60)) == (0, 0)
    assert (names(store, "li"), faces(store, "li")) == ({"li"}, {"li"})


def test_bound_is_for_guests_only(store):
    store.apply([put(f"ours {n}", "a") for n in range(20)], 20, {})
    for n in range(12):
        store.take_in([put(f"guest {n}", "c")], NOW, NOW + 100 - n)
    assert (store.terms, store.counts()["credentials"]) == (10, 30)


# --- snapshots and restarts


def test_store_put_in_its_place_owes_guests_only(store, tmp_path):
    store.apply([put("ma", "a")], 1, {})
    store.take_in([put("li", "c"), put("wu", "c")], NOW, NOW + 60)
    assert store.owed(50) == []
    bulk = BulkStore(tmp_path / "built", KEY.derive, store.site)
    bulk.add([put("ma", "a"), put("wu", "a")])
    bulk.finish(50, {SEEN.decode(): packed(frozenset({"a", "c"})), WITH_REGIONS.decode(): b"1"})
    store.adopt(tmp_path / "built", 50, {})
    assert store.seen == {"a", "c"}
    assert [term.credential_id for term in store.owed(50)] == [id_of("li")]
    store.let_go([id_of("li")])
    assert store.owed(50) == []
    # It came to be of ours meanwhile: only its term is over.
    assert store.lapse(NOW + 60) == 1
    assert names(store, "ma", "wu", "li") == {"ma", "wu"}


def test_restart_goes_on_with_the_same_regions(store, tmp_path):
    store.apply([put("ma", "a"), put("li", "c")], 2, {})
    store.take_in([put("li", "c")], NOW, NOW + 60)
    store.close()
    again = open_store(tmp_path)
    try:
        assert (again.regions, again.seen, again.entries_max) == (OURS, {"a", "c"}, 10)
        assert names(again, "ma", "li") == {"ma", "li"}
        again.hold_part(10, OURS)
        again.apply([put("ma", "c"), put("wu", "b"), put("qi", "c")], 5, {})
        assert names(again, "ma", "li", "wu", "qi") == {"li", "wu"}
    finally:
        again.close()


# --- another choice


def test_region_that_is_given_up_goes_and_guests_and_the_rest_stay(store):
    store.apply([put("ma", "a"), face("ma", "a"), put("li", "b"), face("li", "b"),
                 face("wu", "b")], 5, {"mark": b"m"})
    store.take_in([put("qi", "c"), face("qi", "c")], NOW, NOW + 60)
    before = store.aside
    assert store.covers(frozenset({"a"}))
    store.hold_part(10, frozenset({"a"}))
    assert names(store, "ma", "li", "qi") == {"ma", "qi"}
    assert faces(store, "ma", "li", "wu", "qi") == {"ma", "qi"}
    assert (store.faces, store.cursor(), store.meta("mark")) == (2, 5, b"m")
    assert store.aside > before
    assert store.regions == {"a"}


def test_region_that_is_added_is_not_covered_and_taken_in_from_the_beginning(store):
    store.apply([put("ma", "a"), PutPolicy(policy("hotel")), revoked("ma")], 3, {})
    store.take_in([put("li", "c")], NOW, NOW + 60)
    more = OURS | {"c"}
    assert not store.covers(more)
    store.hold_anew({"mark": b"m"}, 10, more)
    assert store.counts() == {"credentials": 0, "references": 0, "status": 0}
    assert (store.cursor(), store.meta("mark"), store.policies()) == (0, b"m", {})
    assert (store.regions, store.seen) == (more, frozenset())
    assert [term.credential_id for term in store.owed(50)] == [id_of("li")]


def test_of_a_whole_only_the_regions_stay(tmp_path):
    store = open_store(tmp_path)
    try:
        store.apply([put("ma", "a"), face("ma", "a"), put("li", "c"), face("li", "c"),
                     face("wu", "c"), put("qi", "")], 6, {})
        assert store.regions is None
        assert store.covers(OURS)
        store.hold_part(10, OURS)
        assert names(store, "ma", "li", "qi") == {"ma"}
        assert faces(store, "ma", "li", "wu") == {"ma"}
        assert (store.faces, store.cursor(), store.seen) == (1, 6, {"a", "c"})
        store.hold_part(10)
        assert (names(store, "ma"), store.faces, store.regions) == (set(), 0, frozenset())
    finally:
        store.close()


def test_whole_that_an_earlier_version_held_carries_no_regions_and_covers_none(tmp_path):
    store = open_store(tmp_path)
    try:
        store.apply([put("ma", "")], 1, {})
        # As that version leaves it.
        store._write(lambda txn: txn.delete(WITH_REGIONS, db=store._env.tables[b"meta"]))
        assert store.covers(frozenset())
        assert not store.covers(OURS)
        store.hold_anew({}, 10, OURS)
        assert store.covers(OURS)
    finally:
        store.close()
