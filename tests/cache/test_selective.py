"""A store that holds a part: until when, what goes with it, and what the feed does to it."""

import numpy as np
import pytest

from edge.cache.bulk import BulkStore
from edge.cache.passed import KEPT_S, Passed
from edge.cache.selective import SelectiveStore
from edge.errors import StoreError
from edge.node_key import NodeKey
from edge.protocol.feed import (
    DropCredential,
    DropReference,
    PutCredential,
    PutPolicy,
    PutReference,
    PutStatus,
)
from edge.protocol.records import CredentialRecord, ReferenceRecord, Status, StatusRecord
from tests.fakes.city import id_of, policy

KEY = NodeKey(bytes([7] * 32))
NOW = 1_000


def credential(name: str, holder: str = "", **fields) -> CredentialRecord:
    return CredentialRecord(
        credential_id=id_of(name), holder_id=id_of(f"holder {holder or name}"),
        type="resident_id", valid_from_s=0, valid_until_s=None, fields={"name": name, **fields})


def put(name: str, holder: str = "", **fields) -> PutCredential:
    return PutCredential(credential(name, holder, **fields))


def reference(holder: str) -> PutReference:
    return PutReference(ReferenceRecord(
        holder_id=id_of(f"holder {holder}"), pack="p", template=bytes(range(128)), created_s=1))


def revoked(name: str, status: Status = Status.REVOKED, at: int = 5) -> PutStatus:
    return PutStatus(StatusRecord(credential_id=id_of(name), status=status, changed_s=at))


class Ear:
    """A sink that remembers what it was told."""

    def __init__(self) -> None:
        self.held: set[bytes] = set()

    def put(self, holder_id, pack, row) -> None:
        assert row.dtype == np.int8
        self.held.add(holder_id)

    def drop(self, holder_id, pack) -> None:
        self.held.discard(holder_id)


@pytest.fixture
def store(tmp_path):
    store = SelectiveStore(tmp_path / "cache", KEY.derive, map_bytes=1 << 22)
    store.hold_part(10)
    yield store
    store.close()


def test_what_was_asked_for_ends_at_its_time_and_takes_the_reference_with_it(store):
    ear = Ear()
    store.add_sink(ear)
    store.take_in([put("ma"), reference("ma")], NOW, NOW + 60)
    assert ear.held == {id_of("holder ma")}
    assert (store.terms, store.oldest_s) == (1, NOW)
    assert store.lapse(NOW + 59) == 0
    assert store.credential(id_of("ma")) is not None
    assert store.lapse(NOW + 60) == 1
    assert store.credential(id_of("ma")) is None
    assert store.credentials_of(id_of("holder ma")) == []
    assert store.reference(id_of("holder ma"), "p") is None
    assert (ear.held, store.faces, store.terms, store.oldest_s) == (set(), 0, 0, None)
    assert store.lapsed == {"time": 1}


def test_reference_stays_as_long_as_any_credential_of_its_holder(store):
    store.take_in([put("id", "ma"), reference("ma")], NOW, NOW + 60)
    store.take_in([put("licence", "ma")], NOW, NOW + 90)
    assert store.lapse(NOW + 60) == 1
    assert store.reference(id_of("holder ma"), "p") is not None
    assert store.lapse(NOW + 90) == 1
    assert store.reference(id_of("holder ma"), "p") is None


def test_end_moves_later_and_never_earlier(store):
    store.take_in([put("ma")], NOW, NOW + 60)
    store.take_in([put("ma")], NOW + 1, NOW + 90)
    store.take_in([put("ma")], NOW + 2, NOW + 30)
    assert store.lapse(NOW + 89) == 0
    assert store.lapse(NOW + 90) == 1


def test_terms_survive_a_restart(store, tmp_path):
    store.take_in([put("ma"), put("li")], NOW, NOW + 60)
    store.close()
    again = SelectiveStore(tmp_path / "cache", KEY.derive, map_bytes=1 << 22)
    try:
        assert (again.entries_max, again.terms, again.aside) == (10, 2, store.aside)
        assert again.lapse(NOW + 60) == 2
        assert again.counts()["credentials"] == 0
    finally:
        again.close()


def test_feed_changes_what_is_held_and_leaves_the_rest_aside(store):
    store.take_in([put("ma")], NOW, NOW + 60)
    store.apply([put("ma", address="new"), put("li"), reference("li"), reference("ma"),
                 PutPolicy(policy("hotel")), revoked("li")], 6, {})
    assert store.credential(id_of("ma")).fields["address"] == "new"
    assert store.credential(id_of("li")) is None
    assert store.reference(id_of("holder li"), "p") is None
    assert store.reference(id_of("holder ma"), "p") is not None
    assert (store.cursor(), set(store.policies()), store.terms) == (6, {"hotel"}, 1)
    # Somebody's card may speak for it, or it may be asked for.
    assert store.status(id_of("li")).status is Status.REVOKED


def test_what_a_holder_who_is_held_is_granted_besides_comes_with_the_feed(store):
    store.take_in([put("id", "ma")], NOW, NOW + 60)
    store.apply([put("licence", "ma")], 1, {})
    assert len(store.credentials_of(id_of("holder ma"))) == 2
    assert store.lapse(NOW + 60) == 2


def test_revocation_of_what_is_held_applies_and_outlives_its_term(store):
    store.take_in([put("ma")], NOW, NOW + 60)
    store.apply([revoked("ma")], 1, {})
    assert store.standing(id_of("ma"))[1].status is Status.REVOKED
    store.lapse(NOW + 60)
    store.take_in([put("ma")], NOW + 61, NOW + 99)
    assert store.standing(id_of("ma"))[1].status is Status.REVOKED


def test_dropped_credential_is_gone_with_its_term_and_reference(store):
    store.take_in([put("ma"), reference("ma")], NOW, NOW + 60)
    store.apply([DropCredential(id_of("ma"))], 1, {})
    assert (store.credential(id_of("ma")), store.terms, store.faces) == (None, 0, 0)


def test_answer_gives_way_to_what_the_feed_said_meanwhile(store):
    store.apply([put("ma", address="new"), DropCredential(id_of("li")),
                 DropReference(id_of("holder ma"), "p"),
                 revoked("wu", Status.VALID, 9)], 4, {})
    store.take_in([put("ma", address="old"), reference("ma"), put("li"), put("wu"),
                   revoked("wu", at=8)], NOW, NOW + 60)
    assert store.credential(id_of("ma")).fields["address"] == "new"
    assert store.reference(id_of("holder ma"), "p") is None
    assert store.credential(id_of("li")) is None
    assert store.standing(id_of("wu")) == (credential("wu"), None)


def test_answers_are_refused_for_a_minute_when_more_passed_than_is_remembered():
    now = [0.0]
    passed = Passed(lambda: now[0], entries_max=2)
    for name in ("a", "b", "c"):
        passed.saw(put(name))
    assert not passed.fit
    assert passed.newer(put("c", address="older")) == put("c")
    now[0] = KEPT_S
    assert passed.fit
    assert passed.newer(put("c", address="x")) == put("c", address="x")
    passed.saw(put("d"))
    assert passed.fit


def test_store_refuses_an_answer_while_it_may_be_older_than_what_passed(store):
    store._passed = Passed(entries_max=1)
    store.apply([put("a"), put("b")], 2, {})
    with pytest.raises(StoreError, match="ask again"):
        store.take_in([put("a")], NOW, NOW + 60)
    assert store.credential(id_of("a")) is None


def test_reference_without_a_credential_of_its_holder_is_not_kept(store):
    store.take_in([reference("ma")], NOW, NOW + 60)
    assert store.counts()["references"] == 0


def test_beyond_the_bound_what_ends_first_goes(store):
    for number in range(12):
        store.take_in([put(f"c{number}")], NOW, NOW + 100 - number)
    assert store.terms == store.counts()["credentials"] == 10
    assert store.lapsed == {"room": 2}
    assert store.credential(id_of("c0")) is not None
    assert store.credential(id_of("c11")) is None


def test_store_put_in_its_place_owes_what_was_held_and_drops_what_nobody_knows(store, tmp_path):
    store.take_in([put("ma"), reference("ma"), put("li")], NOW, NOW + 60)
    bulk = BulkStore(tmp_path / "built", KEY.derive, store.site)
    bulk.add([PutPolicy(policy("hotel")), revoked("ma")])
    bulk.finish(50, {})
    assert store.owed(50) == []
    store.adopt(tmp_path / "built", 50, {})
    assert (store.cursor(), store.counts()["credentials"], store.faces) == (50, 0, 0)
    assert {term.credential_id for term in store.owed(50)} == {id_of("ma"), id_of("li")}
    store.take_in([put("ma"), reference("ma")], NOW + 5, 0)
    assert store.standing(id_of("ma"))[1].status is Status.REVOKED
    assert [term.credential_id for term in store.owed(50)] == [id_of("li")]
    store.let_go([id_of("li")])
    assert (store.owed(50), store.terms) == ([], 1)
    assert store.lapse(NOW + 60) == 1


def test_part_of_a_whole_begins_empty_and_says_so_to_galleries(tmp_path):
    store = SelectiveStore(tmp_path / "cache", KEY.derive, map_bytes=1 << 22)
    try:
        store.apply([put("ma"), reference("ma"), revoked("ma"), PutPolicy(policy("hotel"))], 4, {})
        assert store.terms == 0
        before = store.aside
        store.hold_part(10)
        assert store.counts() == {"credentials": 0, "references": 0, "status": 1}
        assert (store.faces, store.references_held["p"], store.cursor()) == (0, 0, 4)
        assert set(store.policies()) == {"hotel"}
        assert store.aside > before
        store.take_in([put("ma"), reference("ma")], NOW, NOW + 60)
        store.hold_part(10)
        assert (store.faces, store.terms) == (1, 1)
        store.hold_all({"mark": b"m"})
        assert store.counts() == {"credentials": 0, "references": 0, "status": 0}
        assert (store.cursor(), store.meta("mark"), store.policies()) == (0, b"m", {})
        assert (store.terms, store.entries_max, store.faces) == (0, None, 0)
        store.apply([put("li")], 1, {})
        assert store.credential(id_of("li")) is not None
    finally:
        store.close()
