"""The store: what goes in comes out, encrypted, bound to its place."""

import lmdb
import msgspec
import pytest

from edge.cache.store import LmdbStore
from edge.errors import KeyFileError, StoreError
from edge.node_key import NodeKey, load_or_create_node_key
from edge.protocol.feed import (
    DropCredential,
    DropReference,
    PutCredential,
    PutReference,
    PutStatus,
)
from edge.protocol.records import (
    CredentialRecord,
    EpochKeys,
    ReferenceRecord,
    Status,
    StatusRecord,
)

KEY = NodeKey(bytes([7] * 32))
ANN = CredentialRecord(
    credential_id=bytes(range(16)), holder_id=bytes([9] * 16), type="resident_id", valid_from_s=0,
    valid_until_s=None, fields={"name": "TOPSECRETNAME"})
BOB = msgspec.structs.replace(ANN, credential_id=bytes(range(16, 32)))
MASTER = b"M" * 32


@pytest.fixture
def store(tmp_path):
    store = LmdbStore(tmp_path / "cache", KEY.derive, map_bytes=1 << 20)
    yield store
    store.close()


def test_a_batch_and_its_cursor_come_back_together(store):
    reference = ReferenceRecord(holder_id=bytes(16), pack="p", template=b"t" * 128, created_s=1)
    store.apply([PutCredential(ANN), PutReference(reference)], 2, {"mark": b"m"})
    assert store.credential(ANN.credential_id) == ANN
    assert store.reference(bytes(16), "p") == reference
    assert store.reference(bytes(16), "q") is None
    assert (store.cursor(), store.meta("mark")) == (2, b"m")


def test_only_exceptions_of_status_are_kept(store):
    for status, kept in ((Status.REVOKED, True), (Status.VALID, False)):
        record = StatusRecord(credential_id=ANN.credential_id, status=status, changed_s=1)
        store.apply([PutStatus(record)], 1, {})
        assert store.status(ANN.credential_id) == (record if kept else None)


def test_a_dropped_credential_is_gone(store):
    store.apply([PutCredential(ANN), DropCredential(ANN.credential_id)], 2, {})
    assert store.credential(ANN.credential_id) is None


def test_key_epochs_are_held_exactly_and_forgotten(store):
    epochs = [EpochKeys(key_epoch=d, master=MASTER, seal_private=MASTER) for d in (1, 2)]
    store.put_epochs(epochs, {})
    assert store.epochs() == epochs
    store.drop_epochs([1])
    assert [item.key_epoch for item in store.epochs()] == [2]


def test_no_name_id_or_master_is_on_disk_in_clear(store, tmp_path):
    store.apply([PutCredential(ANN)], 1, {})
    store.put_epochs([EpochKeys(key_epoch=1, master=MASTER, seal_private=MASTER)], {})
    disk = (tmp_path / "cache" / "data.mdb").read_bytes()
    for secret in (b"TOPSECRETNAME", ANN.credential_id, ANN.holder_id, MASTER):
        assert secret not in disk


def test_an_entry_put_in_anothers_place_is_refused(store, tmp_path):
    store.apply([PutCredential(ANN), PutCredential(BOB)], 2, {})
    store.close()
    env = lmdb.open(str(tmp_path / "cache"), max_dbs=8)
    table = env.open_db(b"credentials")
    with env.begin(write=True, db=table) as txn:
        (first, one), (second, other) = list(txn.cursor())
        txn.put(first, other)
        txn.put(second, one)
    env.close()
    swapped = LmdbStore(tmp_path / "cache", KEY.derive)
    with pytest.raises(StoreError, match="damaged"):
        swapped.credential(ANN.credential_id)
    swapped.close()


def test_another_nodes_key_opens_nothing(store, tmp_path):
    store.apply([PutCredential(ANN)], 1, {})
    store.close()
    other = LmdbStore(tmp_path / "cache", NodeKey(bytes([8] * 32)).derive)
    assert other.credential(ANN.credential_id) is None
    with pytest.raises(StoreError):
        other.meta("cursor")
    other.close()


def test_a_full_map_grows_up_to_its_bound(tmp_path):
    store = LmdbStore(tmp_path / "s", KEY.derive, map_bytes=1 << 17, map_bytes_max=1 << 19)
    with pytest.raises(StoreError, match="bound"):
        for n in range(5_000):
            credential = msgspec.structs.replace(ANN, credential_id=n.to_bytes(16, "big"))
            store.apply([PutCredential(credential)], n, {})
    assert n > 300
    assert store.credential((5).to_bytes(16, "big")) is not None
    store.close()


def test_a_damaged_store_names_its_folder_and_the_mend(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data.mdb").write_bytes(b"rubbish" * 5_000)
    with pytest.raises(StoreError, match=r"cache.*journal isn't touched"):
        LmdbStore(tmp_path / "cache", KEY.derive)


def test_a_key_file_is_made_once_private_and_damage_is_said(tmp_path):
    path = tmp_path / "node.key"
    first = load_or_create_node_key(path)
    assert load_or_create_node_key(path).sign_public == first.sign_public
    assert path.stat().st_mode & 0o077 == 0
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_or_create_node_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(KeyFileError, match="damaged"):
        load_or_create_node_key(path)


class Listener:
    def __init__(self):
        self.heard = []

    def put(self, holder_id, pack, row):
        self.heard.append(("put", holder_id, pack, row.shape))

    def drop(self, holder_id, pack):
        self.heard.append(("drop", holder_id, pack))


def reference(n, pack="p", purpose="verification"):
    return ReferenceRecord(holder_id=n.to_bytes(16, "big"), pack=pack, template=b"t" * 128,
                           created_s=1, purpose=purpose)


def test_references_of_a_pack_come_with_their_holders(store):
    put = [PutReference(reference(n, pack)) for n in range(9_000) for pack in ("p", "q")]
    store.apply(put, len(put), {})
    found = dict(store.references("q"))
    assert set(found) == {n.to_bytes(16, "big") for n in range(9_000)}
    assert {record.pack for record in found.values()} == {"q"}
    assert not list(store.references("none"))


def test_sinks_hear_of_references_in_order_and_by_purpose(store):
    both, one = Listener(), Listener()
    store.add_sink(both)
    store.add_sink(one, "identification")
    holder = (1).to_bytes(16, "big")
    store.apply([PutReference(reference(1, purpose="identification"))], 1, {})
    store.apply([PutReference(reference(1)), DropReference(holder, "p")], 3, {})
    put, drop = ("put", holder, "p", (128,)), ("drop", holder, "p")
    assert both.heard == [put, put, drop]
    assert one.heard == [put, drop, drop]
    assert [n for n, _ in store.references("p", "identification")] == []


def test_a_sink_hears_nothing_of_what_was_not_written(store):
    listener = Listener()
    store.add_sink(listener)
    store.close()
    with pytest.raises(StoreError):
        store.apply([PutReference(reference(1))], 1, {})
    assert not listener.heard
