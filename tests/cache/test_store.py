"""The store: what goes in comes out, encrypted, bound to its place."""

import lmdb
import msgspec
import pytest

from edge.cache.store import LmdbStore
from edge.errors import KeyFileError, StoreError
from edge.node_key import NodeKey, load_or_create_node_key
from edge.protocol.feed import DropCredential, PutCredential, PutReference, PutStatus
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
    held = store.reference(bytes(16), "p")
    assert msgspec.structs.replace(
        held, template=reference.template, fine=b"", generation=0) == reference
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
    with pytest.raises(StoreError, match="another node's key"):
        LmdbStore(tmp_path / "cache", NodeKey(bytes([8] * 32)).derive)


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
