"""The replay guard: once, also after a kill, a reboot, a clock set back, an upgrade."""

import gc
import os
import signal
import struct
import subprocess
import sys

import lmdb
import pytest

from edge.cache import spent
from edge.cache.guard import BUCKET_STEPS, MappedReplayGuard
from edge.cache.sealing import IdHider
from edge.errors import StoreError
from edge.node_key import NodeKey
from tests.fakes.open_files import files_open

KEY = NodeKey(bytes([7] * 32))
ANN, BOB = bytes([1] * 16), bytes([2] * 16)
ONE, TWO = b"1" * 16, b"2" * 16
N = 400_000_000


@pytest.fixture
def open_guard(tmp_path):
    opened = []

    def open_(
        boot_id: bytes = b"boot-1", restart_floor: int = 0, **bounds: int
    ) -> MappedReplayGuard:
        while opened:
            opened.pop().close()
        opened.append(MappedReplayGuard(
            tmp_path / "guard", KEY.derive, boot_id=boot_id, restart_floor=restart_floor, **bounds))
        return opened[-1]

    yield open_
    while opened:
        opened.pop().close()


def test_a_presentation_is_spent_once(open_guard):
    guard = open_guard()
    assert guard.spend(ANN, N, ONE, N)
    assert not guard.spend(ANN, N, TWO, N)
    assert guard.spend(BOB, N, TWO, N)


def test_the_same_showing_is_not_a_second_one(open_guard):
    guard = open_guard()
    assert guard.spend(ANN, N, ONE, N)
    assert guard.spend(ANN, N, ONE, N)
    assert not guard.spend(ANN, N - 1, ONE, N)


@pytest.mark.parametrize("offset,fresh", [(-1, False), (0, False), (1, True)])
def test_every_step_up_to_the_spent_one_is_spent(open_guard, offset, fresh):
    guard = open_guard()
    assert guard.spend(ANN, N, ONE, N)
    assert guard.spend(ANN, N + offset, TWO, N) is fresh


def test_a_restart_remembers(open_guard):
    assert open_guard().spend(ANN, N, ONE, N)
    guard = open_guard()
    assert not guard.spend(ANN, N, TWO, N)
    assert guard.spend(ANN, N, ONE, N)


def test_after_a_reboot_every_step_of_the_restarts_window_is_refused(open_guard):
    assert open_guard().spend(ANN, N, ONE, N)
    guard = open_guard(b"boot-2", restart_floor=N + 2)
    assert not guard.spend(ANN, N, TWO, N)
    assert not guard.spend(BOB, N + 2, TWO, N + 2)
    assert guard.spend(BOB, N + 3, TWO, N + 3)


def test_what_is_forgotten_stays_refused_when_the_clock_is_set_back(open_guard):
    guard = open_guard()
    assert guard.spend(ANN, N, ONE, N)
    later = N + 3 * BUCKET_STEPS
    assert guard.spend(BOB, later, ONE, later)
    assert not guard.spend(ANN, N, TWO, N)
    assert not guard.spend(ANN, N + 1, TWO, N + 1)
    assert guard.floor >= N


def test_turning_a_bucket_forgets_nothing_of_the_window(open_guard):
    guard = open_guard()
    edge = (N // BUCKET_STEPS + 1) * BUCKET_STEPS
    assert guard.spend(ANN, edge - 1, ONE, edge - 1)
    assert guard.spend(BOB, edge + 1, ONE, edge)
    assert not guard.spend(ANN, edge - 1, TWO, edge)
    assert guard.spend(ANN, edge, TWO, edge)


def test_no_credential_id_is_on_disk(open_guard, tmp_path):
    open_guard().spend(bytes(range(60, 76)), N, ONE, N)
    open_guard()
    for path in (tmp_path / "guard").iterdir():
        assert bytes(range(60, 76)) not in path.read_bytes()


def test_a_table_grows_and_its_restart_knows_all_of_it(open_guard):
    guard, many = open_guard(), spent.ROWS_MIN * 3
    ids = [b"%016d" % number for number in range(many)]
    for first in range(0, many, 100):
        assert all(guard.spend_all([(id_, N, ONE) for id_ in ids[first : first + 100]], N))
    guard = open_guard()
    assert not any(guard.spend_all([(id_, N, TWO) for id_ in ids], N))
    assert sorted(guard.recent(N)) == [(id_, N, ONE) for id_ in ids]


def test_what_was_spent_of_late_is_each_credentials_newest_step_only(open_guard):
    guard = open_guard()
    edge = (N // BUCKET_STEPS + 1) * BUCKET_STEPS
    for step in (edge - 3, edge - 2, edge, edge + 1):  # of both buckets
        assert guard.spend(ANN, step, ONE, edge)
    for step in (edge - 4, edge - 1):
        assert guard.spend(BOB, step, TWO, edge)
    for _ in range(2):
        assert sorted(guard.recent(edge - 10)) == [(ANN, edge + 1, ONE), (BOB, edge - 1, TWO)]
        assert list(guard.recent(edge)) == [(ANN, edge + 1, ONE)]
        guard = open_guard()


def test_what_is_spent_while_it_is_read_is_never_given_as_it_was(open_guard):
    guard = open_guard()
    many = spent.CHUNK_ROWS + 10
    ids = [b"%016d" % number for number in range(many)]
    assert all(guard.spend_all([(id_, N, ONE) for id_ in ids], N))
    reading = guard.recent(N)
    first = next(reading)
    assert guard.spend(ids[-1], N + 1, TWO, N)
    given = [first, *reading]
    assert (ids[-1], N, ONE) not in given
    assert len(given) == many - 1


def test_a_full_table_accepts_nothing_more_and_spends_nothing_of_a_turn(open_guard):
    guard = open_guard(entries_max=3)
    assert guard.spend_all([(ANN, N, ONE), (BOB, N, ONE)], N) == [True, True]
    with pytest.raises(StoreError, match="3 at most"):
        guard.spend_all([(ANN, N + 1, ONE), (BOB, N + 1, ONE)], N)
    assert guard.spend(ANN, N + 1, TWO, N)


def test_a_disk_without_room_is_said_and_nothing_is_spent(open_guard, monkeypatch):
    guard = open_guard()
    ids = [b"%016d" % number for number in range(spent.ROWS_MIN)]
    assert all(guard.spend_all([(id_, N, ONE) for id_ in ids], N))

    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(StoreError, match="No space left"):
            guard.spend(ANN, N, ONE, N)
    assert guard.spend(ANN, N, TWO, N)


def test_a_process_that_was_killed_has_spent_what_it_said(tmp_path, open_guard):
    code = f"""
import os, sys
from pathlib import Path
from edge.cache.guard import MappedReplayGuard
from edge.node_key import NodeKey
from tests.fakes.open_files import files_open
guard = MappedReplayGuard(Path({str(tmp_path / "guard")!r}), NodeKey(bytes([7] * 32)).derive,
                          boot_id=b"boot-1", restart_floor=0)
number = 0
while True:
    assert guard.spend(b"%016d" % number, {N}, b"1" * 16, {N})
    os.write(1, b"%016d" % number)
    number += 1
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    said = child.stdout.read(16 * 5_000)
    child.send_signal(signal.SIGKILL)
    said += child.stdout.read()
    child.stdout.close()
    child.wait()
    ids = [said[at : at + 16] for at in range(0, len(said), 16)]
    guard = open_guard()
    assert len(ids) >= 5_000
    assert not any(guard.spend_all([(id_, N, TWO) for id_ in ids], N))


def test_a_row_that_its_count_does_not_cover_was_not_spent(tmp_path):
    def opened() -> MappedReplayGuard:
        return MappedReplayGuard(
            tmp_path / "guard", KEY.derive, boot_id=b"boot-1", restart_floor=0)

    guard = opened()
    assert guard.spend(ANN, N, ONE, N)
    guard.close()
    table = tmp_path / "guard" / ("odd" if N // BUCKET_STEPS % 2 else "even")
    data = bytearray(table.read_bytes())
    data[:8] = struct.pack("=Q", 0)
    table.write_bytes(data)
    guard = opened()
    assert guard.spend(ANN, N, TWO, N)
    guard.close()


@pytest.mark.parametrize("name,data", [("state", b"rubbish!" * 8), ("even", b"\xff" * 64)])
def test_a_damaged_file_is_said_and_the_folder_let_go(tmp_path, name, data):
    folder = tmp_path / "guard"
    folder.mkdir()
    (folder / name).write_bytes(data)
    for _ in range(2):
        with pytest.raises(StoreError, match="damaged"):
            MappedReplayGuard(folder, KEY.derive, boot_id=b"boot-1", restart_floor=0)


@pytest.mark.parametrize("fault", ["earlier version", "odd", "no room"])
def test_whatever_cant_be_opened_is_let_go(tmp_path, monkeypatch, fault):
    folder, bounds = tmp_path / "guard", {}
    folder.mkdir()
    if fault == "earlier version":
        (folder / "data.mdb").write_bytes(b"rubbish" * 1_000)
    elif fault == "odd":
        (folder / "odd").write_bytes(b"\xff" * 64)
    else:
        _earlier_version_spends(folder, ANN, N - 5, b"boot-1")
        bounds = {"entries_max": 0}
    held = files_open()
    for _ in range(2):
        with pytest.raises(StoreError) as found:
            MappedReplayGuard(
                folder, KEY.derive, boot_id=b"boot-1", restart_floor=0, **bounds)
        assert "in use" not in str(found.value)
        del found
        gc.collect()
    assert files_open() == held


def test_two_processes_cannot_hold_one_memory(open_guard, tmp_path):
    open_guard()
    with pytest.raises(StoreError, match="in use"):
        MappedReplayGuard(tmp_path / "guard", KEY.derive, boot_id=b"boot-1", restart_floor=0)


def _earlier_version_spends(folder, id_: bytes, floor: int, boot: bytes) -> None:
    """Write what a version that kept its memory in LMDB left behind."""
    folder.mkdir(exist_ok=True)
    key = IdHider(KEY.derive).hide(id_)
    with lmdb.open(str(folder), max_dbs=3, map_size=1 << 20) as env:
        tables = {name: env.open_db(name) for name in (b"even", b"odd", b"state")}
        with env.begin(write=True) as txn:
            slot = N // BUCKET_STEPS
            txn.put(key, struct.pack(">Q16s", N, ONE), db=tables[b"odd" if slot % 2 else b"even"])
            txn.put(b"state", struct.pack(">QQ36s", slot, floor, boot.ljust(36, b"\0")),
                    db=tables[b"state"])


def test_what_an_earlier_version_spent_stays_spent(open_guard, tmp_path):
    _earlier_version_spends(tmp_path / "guard", ANN, N - 5, b"boot-1")
    guard = open_guard()
    assert not guard.spend(ANN, N, TWO, N)
    assert not guard.spend(BOB, N - 5, TWO, N)
    assert guard.spend(BOB, N, TWO, N)
    # A version that is rolled back to must not believe its old memory.
    assert not (tmp_path / "guard" / "data.mdb").exists()


def test_what_was_spent_between_a_roll_back_and_the_next_upgrade_stays_spent(open_guard, tmp_path):
    assert open_guard().spend(BOB, N, ONE, N)
    _earlier_version_spends(tmp_path / "guard", ANN, N - 5, b"boot-1")
    guard = open_guard()
    assert not guard.spend(ANN, N, TWO, N)
    assert not guard.spend(BOB, N, TWO, N)


def test_an_older_step_of_an_earlier_version_doesnt_hide_a_newer_one(open_guard, tmp_path):
    # The clock was set back between the two, so the earlier version spent lower steps.
    assert open_guard().spend(ANN, N + 2, ONE, N)
    _earlier_version_spends(tmp_path / "guard", ANN, N - 5, b"boot-1")
    guard = open_guard()
    assert not guard.spend(ANN, N + 1, TWO, N + 2)
    assert not guard.spend(ANN, N + 2, TWO, N + 2)
    assert guard.spend(ANN, N + 3, TWO, N + 2)


def test_a_machine_whose_run_has_no_name_may_have_been_started_anew(open_guard):
    guard = open_guard(b"", restart_floor=N + 2)
    assert guard.forgot
    assert not guard.spend(ANN, N + 2, ONE, N + 2)
    assert guard.spend(ANN, N + 3, ONE, N + 3)
    guard = open_guard(b"", restart_floor=N + 5)
    assert guard.forgot
    assert not guard.spend(ANN, N + 4, TWO, N + 4)


def test_an_earlier_versions_memory_of_another_boot_is_not_believed(open_guard, tmp_path):
    _earlier_version_spends(tmp_path / "guard", ANN, N - 5, b"boot-0")
    guard = open_guard(restart_floor=N + 2)
    assert guard.forgot
    assert not guard.spend(BOB, N + 2, ONE, N + 2)
    assert guard.spend(BOB, N + 3, ONE, N + 3)
