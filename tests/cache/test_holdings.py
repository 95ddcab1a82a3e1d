"""Which credentials a holder has, as the store's index tells."""

import lmdb
import msgspec
import pytest

from edge.cache.store import LmdbStore
from edge.node_key import NodeKey
from edge.protocol.feed import DropCredential, PutCredential
from edge.protocol.records import CredentialRecord

KEY = NodeKey(bytes([7] * 32))
ANN, BOB = bytes([1] * 16), bytes([2] * 16)


def credential(number: int, holder_id: bytes = ANN) -> CredentialRecord:
    return CredentialRecord(
        credential_id=number.to_bytes(16, "big"), holder_id=holder_id, type="resident_id",
        valid_from_s=0, valid_until_s=None, fields={})


@pytest.fixture
def store(tmp_path):
    store = LmdbStore(tmp_path / "cache", KEY.derive, map_bytes=1 << 20)
    yield store
    store.close()


def held(store, holder_id=ANN) -> set[int]:
    return {int.from_bytes(item.credential_id, "big") for item in store.credentials_of(holder_id)}


def test_a_holder_has_what_was_put_and_not_dropped(store):
    store.apply([PutCredential(credential(n)) for n in (1, 2, 3)], 3, {})
    store.apply([PutCredential(credential(4, BOB)), DropCredential(credential(2).credential_id),
                 DropCredential(bytes([9] * 16))], 6, {})
    assert held(store) == {1, 3}
    assert held(store, BOB) == {4}
    assert held(store, bytes(16)) == set()
    assert held(store, bytes([255] * 16)) == set()


def test_a_credential_that_changed_holders_is_the_new_ones_only(store):
    store.apply([PutCredential(credential(1)), PutCredential(credential(1, BOB))], 2, {})
    assert (held(store), held(store, BOB)) == (set(), {1})


def test_a_store_made_without_the_index_gets_it_at_its_opening(store, tmp_path):
    store.apply([PutCredential(credential(n)) for n in (1, 2)], 2, {})
    store.close()
    env = lmdb.open(str(tmp_path / "cache"), max_dbs=16)
    with env.begin(write=True) as txn:
        txn.drop(env.open_db(b"holdings", txn=txn), delete=True)
    env.close()
    older = LmdbStore(tmp_path / "cache", KEY.derive, map_bytes=1 << 20)
    assert held(older) == {1, 2}
    older.close()


def test_no_holder_is_named_on_disk(store, tmp_path):
    who = msgspec.structs.replace(credential(1), holder_id=b"holder of secret")
    store.apply([PutCredential(who)], 1, {})
    assert b"holder of secret" not in (tmp_path / "cache" / "data.mdb").read_bytes()
