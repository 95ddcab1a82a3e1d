"""The gallery: finds as an exhaustive comparison would, keeps up with changes, survives a kill."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from bench.harness_people import People, Population
from edge.cache.gallery import kernels, layout
from edge.cache.gallery.gallery import Gallery
from edge.cache.gallery.index import SlotIndex
from edge.cache.gallery.query import make_query
from edge.errors import StoreError
from tests.cache.gallery_victim import derive, row_of

PACK, D = "p", 128
CLUSTERED = Population(dimensions=D, mean_cosine=0.855, effective=38.0, genuine_mean=0.961,
                       genuine_sd=0.021)


def id_of(number: int) -> bytes:
    return hashlib.sha256(b"holder %d" % number).digest()[:16]


@pytest.fixture
def gallery(tmp_path):
    gallery = Gallery(tmp_path / "gallery", PACK, D, derive, boot_id=b"boot", threads=2,
                      rows_max=1 << 15)
    yield gallery
    gallery.close()


def filled(gallery, rows):
    for number, row in enumerate(rows):
        gallery.put(id_of(number), PACK, row)
    gallery.settle(b"filled")


def found(gallery, row):
    return [holder_id for holder_id, _ in gallery.search(row)[0]]


def columns(rows, mean, encode):
    inverses = (1 / np.linalg.norm(rows.astype(np.float32), axis=1)).astype(np.float32)
    codes = np.zeros((rows.shape[1] // 64, len(rows)), np.uint64)
    factors, bases = np.zeros(len(rows), np.float32), np.zeros(len(rows), np.float32)
    encode(rows, inverses, mean, 0, len(rows), codes, factors, bases)
    return inverses, codes, factors, bases


def test_rows_are_coded_as_the_plain_twin_codes_them():
    rows = People(CLUSTERED, 3).rows(300)
    mean = (rows / np.linalg.norm(rows.astype(np.float32), axis=1, keepdims=True)).mean(0)
    mean = mean.astype(np.float32)
    one = columns(rows, mean, kernels.encode_rows)
    other = columns(rows, mean, kernels.encode_rows_plain)
    flipped = np.bitwise_count(one[1] ^ other[1]).sum()
    assert flipped <= 3  # of 38,400; a rest that is zero but for rounding
    for ours, plain in zip(one[2:], other[2:], strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 31, 513, 5_000])
def test_a_search_with_full_credit_is_the_plain_twins(count):
    rows = People(CLUSTERED, 4).rows(count + 1)
    probe, rows = rows[-1], np.ascontiguousarray(rows[:-1])
    inverses, codes, factors, bases = columns(rows, np.zeros(D, np.float32), kernels.encode_rows)
    bases[::7] = kernels.FREE
    query = make_query(probe, np.zeros(D, np.float32), sigmas=50.0)
    ours = np.empty(8, np.float32), np.empty(8, np.int64)
    plain = np.empty(8, np.float32), np.empty(8, np.int64)
    kernels.search_rows(rows, inverses, codes, factors, bases, *query, 0, count,
                        np.full(1, -2.0, np.float32), *ours)
    kernels.search_rows_plain(rows, inverses, bases, query.query, query.inverse, 0, count, *plain)
    np.testing.assert_array_equal(ours[1][:2], plain[1][:2])
    np.testing.assert_allclose(ours[0][:2], plain[0][:2], atol=1e-6)


def test_ids_are_indexed_as_the_plain_twin_indexes_them():
    ids = np.random.default_rng(1).integers(1, 2**62, (500, 2)).astype(np.uint64)
    ids[::9] = 0
    one, other = np.zeros(1024, np.uint32), np.zeros(1024, np.uint32)
    assert kernels.index_ids(ids, one) == kernels.index_ids_plain(ids, other)
    np.testing.assert_array_equal(one, other)


def test_an_index_finds_what_is_left_after_any_removals():
    rng = np.random.default_rng(2)
    ids = rng.integers(1, 50, (256, 2)).astype(np.uint64)  # many begin at one place
    ids[:, 1] = np.arange(256)
    index = SlotIndex(ids, 256)
    left = dict(enumerate(ids.tolist()))
    for slot in rng.permutation(256)[:200].tolist():
        index.remove(tuple(left.pop(slot)))
        ids[slot] = 0
        assert all(index.find(tuple(id_)) == at for at, id_ in left.items())
    assert index.count == 56


def test_the_best_is_that_of_comparing_every_row(gallery):
    people = People(CLUSTERED, 5)
    rows = people.rows(10_000)
    filled(gallery, rows)
    chosen = np.arange(0, 10_000, 40)
    units = rows / np.linalg.norm(rows.astype(np.float32), axis=1, keepdims=True)
    wrong = 0
    for probe in people.probes(rows[chosen]):
        cosines = units @ (probe / np.linalg.norm(probe.astype(np.float32)))
        best = np.sort(cosines)[::-1][:2]
        answer, searched = gallery.search(probe)
        assert searched == 10_000
        wrong += not np.allclose([score for _, score in answer], best, atol=2e-6)
    assert wrong <= 1  # of 250; the measure has 10,000


def test_a_change_is_seen_by_the_next_search(gallery):
    rows = People(CLUSTERED, 6).rows(100)
    filled(gallery, rows[:50])
    gallery.put(id_of(99), PACK, rows[99])
    assert found(gallery, rows[99])[0] == id_of(99)
    gallery.put(id_of(99), PACK, rows[98])
    assert found(gallery, rows[98])[0] == id_of(99)
    assert gallery.search(rows[99])[0][0][1] < 0.999
    gallery.drop(id_of(99), PACK)
    assert id_of(99) not in found(gallery, rows[98])
    assert len(gallery) == 50


def test_a_dropped_references_row_leaves_the_file(gallery, tmp_path):
    row = People(CLUSTERED, 7).rows(1)[0]
    gallery.put(id_of(1), PACK, row)
    disk = tmp_path / "gallery"
    assert row.tobytes() in disk.read_bytes()
    assert id_of(1) not in disk.read_bytes()
    gallery.drop(id_of(1), PACK)
    assert row.tobytes() not in disk.read_bytes()


def test_references_of_another_pack_or_length_are_never_found(gallery):
    row = People(CLUSTERED, 8).rows(1)[0]
    gallery.put(id_of(1), "other", row)
    gallery.put(id_of(2), PACK, row[:64])
    assert gallery.search(row) == ([], 0)
    gallery.put(id_of(3), PACK, row)
    gallery.put(id_of(3), PACK, row[:64])
    assert len(gallery) == 0
    with pytest.raises(ValueError, match="length"):
        gallery.search(row[:64])


def test_a_template_of_zeros_harms_nobody(gallery):
    row = People(CLUSTERED, 9).rows(1)[0]
    gallery.put(id_of(1), PACK, np.zeros(D, np.int8))
    gallery.put(id_of(2), PACK, row)
    assert found(gallery, row)[0] == id_of(2)
    assert all(score <= 0.0 for _, score in gallery.search(np.zeros(D, np.int8))[0])


def test_places_of_the_dropped_are_used_again(gallery):
    rows = People(CLUSTERED, 10).rows(60)
    filled(gallery, rows[:30])
    for number in range(30):
        gallery.drop(id_of(number), PACK)
    for number in range(30, 60):
        gallery.put(id_of(number), PACK, rows[number])
    assert gallery._file.used == 30
    assert [found(gallery, rows[n])[0] for n in range(30, 60)] == [id_of(n) for n in range(30, 60)]


def test_it_grows_past_its_chunks_and_stops_at_its_bound(tmp_path, caplog):
    most = layout.CHUNK_ROWS
    gallery = Gallery(tmp_path / "g", PACK, D, derive, rows_max=most)
    rows = People(CLUSTERED, 11).rows(most + 1)
    filled(gallery, rows)
    assert len(gallery) == most
    assert "gallery.behind" in caplog.text
    assert not gallery.is_of(b"filled")
    gallery.drop(id_of(0), PACK)
    gallery.put(id_of(most), PACK, rows[most])
    assert found(gallery, rows[most])[0] == id_of(most)
    gallery.close()


def test_a_new_mean_changes_no_answer(gallery):
    rows = People(CLUSTERED, 12).rows(2_000)
    for number, row in enumerate(rows):
        gallery.put(id_of(number), PACK, row)
    before = [gallery.search(row)[0] for row in rows[:50]]
    assert gallery._file.coded == 0
    gallery.settle(b"1")
    assert gallery._file.coded == 2_000
    gallery.drop(id_of(1_999), PACK)
    gallery.recode()
    assert id_of(1_999) not in found(gallery, rows[1_999])
    for row, answer in zip(rows[:50], before, strict=True):
        assert gallery.search(row)[0][0] == answer[0]


def test_a_new_mean_waits_for_no_search_and_no_search_for_it(gallery):
    rows = People(CLUSTERED, 17).rows(600)
    filled(gallery, rows)
    with gallery._lock:
        bank = gallery._coder.begin()  # a search that doesn't end
    gallery.recode()
    assert gallery._file.active != bank
    assert found(gallery, rows[5])[0] == id_of(5)
    again = threading.Thread(target=gallery.recode)
    again.start()  # would write the codes that the old search still reads
    again.join(0.2)
    assert again.is_alive()
    gallery.put(id_of(5), PACK, rows[6])
    assert gallery.search(rows[6])[0][1][1] > 0.9999
    with gallery._lock:
        gallery._coder.end(bank)
    again.join(5.0)
    assert not again.is_alive()
    assert gallery.search(rows[6])[0][1][1] > 0.9999


def test_what_changes_while_codes_are_made_is_found_by_the_new_ones(gallery):
    rows = People(CLUSTERED, 18).rows(9_000)
    filled(gallery, rows[:6_000])
    stop = threading.Event()

    def recode() -> None:
        while not stop.is_set():
            gallery.recode()

    coding = threading.Thread(target=recode)
    coding.start()
    for number in range(6_000, 9_000):
        gallery.put(id_of(number), PACK, rows[number])
        gallery.drop(id_of(number - 6_000), PACK)
    stop.set()
    coding.join()
    assert len(gallery) == 6_000
    assert [found(gallery, rows[n])[0] for n in range(3_000, 9_000, 50)] == [
        id_of(n) for n in range(3_000, 9_000, 50)]
    assert not any(id_of(n) in found(gallery, rows[n]) for n in range(0, 3_000, 50))


def test_a_settled_gallery_is_believed_after_a_kill_and_after_a_clean_stop(tmp_path):
    rows = People(CLUSTERED, 13).rows(10)
    gallery = Gallery(tmp_path / "g", PACK, D, derive, boot_id=b"boot")
    filled(gallery, rows)
    killed = Gallery(tmp_path / "g", PACK, D, derive, boot_id=b"boot")
    assert killed.is_of(b"filled")
    assert not killed.is_of(b"another state of the store")
    assert found(killed, rows[3])[0] == id_of(3)
    powerless = Gallery(tmp_path / "g", PACK, D, derive, boot_id=b"another boot")
    assert not powerless.is_of(b"filled")
    powerless.close()
    gallery.settle(b"filled")
    gallery.close()
    stopped = Gallery(tmp_path / "g", PACK, D, derive, boot_id=b"a third boot")
    assert stopped.is_of(b"filled")
    stopped.put(id_of(11), PACK, rows[0])
    assert not stopped.is_of(b"filled")
    stopped.close()


def test_another_pack_or_size_begins_anew_and_another_key_finds_no_holder(tmp_path):
    rows = People(CLUSTERED, 14).rows(3)
    gallery = Gallery(tmp_path / "g", PACK, D, derive)
    filled(gallery, rows)
    gallery.close()
    other = Gallery(tmp_path / "g", PACK, D, lambda purpose: bytes(32))
    assert id_of(0) not in found(other, rows[0])
    other.close()
    newer = Gallery(tmp_path / "g", "newer", D, derive)
    assert len(newer) == 0
    newer.close()
    wider = Gallery(tmp_path / "g", "newer", 512, derive)
    assert len(wider) == 0
    wider.close()
    with pytest.raises(StoreError, match="isn't possible"):
        Gallery(tmp_path / "h", PACK, 5_000, derive)


def test_filling_holds_exactly_what_the_store_has(gallery):
    rows = People(CLUSTERED, 15).rows(40)
    filled(gallery, rows[:20])
    gallery.refill(((id_of(n), rows[n + 10]) for n in range(5, 30)), b"anew")
    assert gallery.is_of(b"anew")
    assert len(gallery) == 25
    for number in range(5, 30):
        assert found(gallery, rows[number + 10])[0] == id_of(number)
    assert id_of(0) not in found(gallery, rows[0])


def test_searches_and_changes_at_once_give_answers_of_their_moment(gallery):
    rows = People(CLUSTERED, 16).rows(20_001)
    filled(gallery, rows[:20_000])
    stop, faults = threading.Event(), []

    def change() -> None:
        turn = 0
        while not stop.is_set():
            # Holder 7 moves between two faces; each moment has exactly one of them.
            gallery.put(id_of(7), PACK, rows[20_000] if turn % 2 else rows[7])
            number = 1_000 + turn % 5_000
            gallery.drop(id_of(number), PACK)
            gallery.put(id_of(number), PACK, rows[number])
            turn += 1

    def recode() -> None:
        while not stop.is_set():
            gallery.recode()

    writers = [threading.Thread(target=work) for work in (change, recode)]
    for writer in writers:
        writer.start()
    end = time.monotonic() + 3.0
    searches = 0
    while time.monotonic() < end:
        for number in (3, 19_999):
            answer = gallery.search(rows[number])[0]
            if answer[0][0] != id_of(number) or answer[0][1] < 0.9999:
                faults.append((number, answer))
        for row in (rows[7], rows[20_000]):
            best = gallery.search(row)[0][0]
            if best[1] > 0.9999 and best[0] != id_of(7):
                faults.append(best)
        searches += 1
    stop.set()
    for writer in writers:
        writer.join()
    assert searches > 3
    assert not faults


def test_killed_in_the_middle_it_is_filled_to_exactly_what_the_store_has(tmp_path):
    for delay_s in (0.02, 0.1):
        victim = subprocess.Popen(
            [sys.executable, "-m", "tests.cache.gallery_victim", str(tmp_path / "g")],
            stdout=subprocess.PIPE)
        assert victim.stdout.readline() == b"changing\n"
        time.sleep(delay_s)
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()
        gallery = Gallery(tmp_path / "g", PACK, D, derive, boot_id=b"boot")
        assert not gallery.is_of(b"never reached")
        gallery.refill(((id_of(n), row_of(n)) for n in range(200)), b"filled")
        assert len(gallery) == 200
        assert [found(gallery, row_of(n))[0] for n in range(200)] == [id_of(n) for n in range(200)]
        gallery.close()


