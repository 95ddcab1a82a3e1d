"""A store that was built beside the one in use takes its place: all at once, for every reader."""

import threading

import msgspec
import numpy as np
import pytest

from edge.cache.adoption import ASIDE, move_into_place
from edge.cache.bulk import BulkStore
from edge.cache.gallery.gallery import Gallery
from edge.cache.store import LmdbStore
from edge.errors import StoreError
from edge.hotpath.holder import IDENTIFICATION
from edge.node_key import NodeKey
from edge.protocol.feed import PutCredential, PutReference, PutStatus
from edge.protocol.records import EpochKeys
from tests.cache.test_references import holder, reference, template
from tests.fakes.city import credential, id_of, status

KEY = NodeKey(bytes([7] * 32))
EPOCH = EpochKeys(key_epoch=3, master=b"M" * 32, seal_private=b"S" * 32)
D = 128


@pytest.fixture
def store(tmp_path):
    store = LmdbStore(tmp_path / "cache", KEY.derive)
    yield store
    store.close()


def built(store, tmp_path, *changes, cursor=50):
    """Build a store beside the one in use, as the process of its own does."""
    folder = tmp_path / "bootstrap" / "cache"
    bulk = BulkStore(folder, KEY.derive, store.site)
    bulk.add(changes)
    bulk.finish(cursor, {})
    return folder


def identified(n):
    return PutReference(reference(n, purpose=IDENTIFICATION))


def test_every_reader_sees_the_new_store_and_none_of_the_old(store, tmp_path):
    store.apply([PutCredential(credential("old")), PutReference(reference(1))], 2, {"mine": b"m"})
    store.put_epochs([EPOCH], {})
    generation = store.generation
    folder = built(store, tmp_path, PutCredential(credential()), PutStatus(status()),
                   PutReference(reference(2)))
    store.adopt(folder, 50, {"mark": b"50"})
    assert store.credential(id_of("old")) is None
    assert store.credential(id_of("ma")) == credential()
    assert store.standing(id_of("ma")) == (credential(), status())
    assert store.credentials_of(credential().holder_id) == [credential()]
    assert store.reference(holder(1), "p") is None
    assert [n for n, _ in store.references("p")] == [holder(2)]
    assert (store.faces, store.references_held) == (1, {"p": 1})
    assert store.counts() == {"credentials": 1, "references": 1, "status": 1}
    assert (store.cursor(), store.meta("mine"), store.meta("mark")) == (50, b"m", b"50")
    assert store.epochs() == [EPOCH]
    held = store.reference(holder(2), "p")
    assert held.generation == store.generation == generation
    np.testing.assert_array_equal(
        store.protect(template(2), "p", generation), np.frombuffer(held.template, np.int8))


def test_a_restart_opens_what_was_adopted(store, tmp_path):
    store.adopt(built(store, tmp_path, PutCredential(credential())), 50, {})
    store.apply([PutStatus(status())], 51, {})
    store.close()
    again = LmdbStore(tmp_path / "cache", KEY.derive)
    try:
        assert again.standing(id_of("ma")) == (credential(), status())
        assert again.cursor() == 51
    finally:
        again.close()


def test_a_reader_that_was_in_the_old_store_comes_to_its_end(store, tmp_path):
    store.apply([PutReference(reference(n)) for n in range(9_000)], 9_000, {})
    reading = store.references("p")
    first = next(reading)
    store.adopt(built(store, tmp_path, PutReference(reference(9_001))), 9_500, {})
    assert len({first[0], *(n for n, _ in reading)}) == 9_000
    assert [n for n, _ in store.references("p")] == [holder(9_001)]


def test_a_gallery_holds_what_the_new_store_holds_and_may_be_searched_for(store, tmp_path):
    gallery = Gallery(tmp_path / "gallery", "p", D, KEY.derive, boot_id=b"boot", threads=1,
                      rows_max=1 << 12)
    store.add_sink(gallery, IDENTIFICATION)
    store.apply([identified(n) for n in (1, 2, 3)], 3, {})
    gallery.settle(b"3")
    # 1 isn't there any more, 2 may only be compared, 4 is new.
    folder = built(store, tmp_path, PutReference(reference(2)), identified(3), identified(4))
    store.adopt(folder, 50, {})
    assert not gallery.is_of(b"3")
    gallery.settle(b"50")
    assert len(gallery) == 2
    for n in (3, 4):
        row = np.frombuffer(store.reference(holder(n), "p").template, np.int8)
        found, searched = gallery.search(row)
        assert (found[0][0], searched) == (holder(n), 2)
    store.apply([identified(5)], 51, {})
    assert len(gallery) == 3
    gallery.close()


def test_what_is_put_down_from_another_thread_is_not_lost_in_the_change_over(store, tmp_path):
    folder = built(store, tmp_path, PutCredential(credential()))
    stop, kept = threading.Event(), []

    def keep():
        while not stop.is_set():
            store.keep({"status.list.0": b"%d" % len(kept)})
            kept.append(len(kept))

    thread = threading.Thread(target=keep)
    thread.start()
    while len(kept) < 3:
        pass
    store.adopt(folder, 50, {})
    before = len(kept)
    while len(kept) < before + 3:
        pass
    stop.set()
    thread.join()
    assert store.meta("status.list.0") == b"%d" % kept[-1]
    assert store.cursor() == 50


def test_what_cannot_take_its_place_leaves_the_old_store_in_use(store, tmp_path):
    store.apply([PutCredential(credential("old"))], 1, {})
    folder = built(store, tmp_path)
    (tmp_path / ("cache" + ASIDE)).write_bytes(b"in the way")
    with pytest.raises(StoreError, match="can't be replaced"):
        store.adopt(folder, 50, {})
    assert store.credential(id_of("old")) is not None
    store.apply([PutCredential(credential())], 2, {})
    assert store.cursor() == 2


@pytest.mark.parametrize("new_in_place", [False, True])
def test_a_kill_between_the_two_renames_leaves_the_old_store_or_the_new_one(
    tmp_path, new_in_place
):
    old = LmdbStore(tmp_path / "cache", KEY.derive)
    old.apply([PutCredential(credential("old"))], 1, {})
    folder = built(old, tmp_path, PutCredential(credential()))
    old.close()
    (tmp_path / "cache").rename(tmp_path / ("cache" + ASIDE))
    if new_in_place:
        folder.rename(tmp_path / "cache")
    store = LmdbStore(tmp_path / "cache", KEY.derive)
    try:
        assert store.cursor() == (50 if new_in_place else 1)
        assert (store.credential(id_of("old")) is None) is new_in_place
        assert not (tmp_path / ("cache" + ASIDE)).exists()
    finally:
        store.close()


def test_folders_stay_where_they_were_when_the_new_one_is_not_there(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(StoreError):
        move_into_place(tmp_path / "missing", place)
    assert place.is_dir()


def test_holders_are_counted_once_whatever_packs_their_references_are_of(store, tmp_path):
    folder = built(store, tmp_path, PutReference(reference(1)), PutReference(reference(1, "q")),
                   PutReference(msgspec.structs.replace(reference(2), pack="q")))
    store.adopt(folder, 50, {})
    assert (store.faces, store.references_held) == (2, {"p": 1, "q": 2})
