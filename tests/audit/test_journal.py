"""The journal: durable, recovered, signed; alteration and damage are seen."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.audit.checkpoint import read_checkpoints
from edge.audit.journal import FileJournal, JournalOptions
from edge.audit.segment import NO_FRAME, pack_frame, walk_frames
from edge.audit.segments import FILL_BYTES
from edge.audit.verify import verify_journal
from edge.errors import JournalError
from edge.hotpath.checkpoint import countersign
from edge.hotpath.merkle import hash_leaf
from edge.node_key import NodeKey
from edge.protocol.journal import EventRecord, encode_record
from tests.fakes.open_files import files_open

KEY = NodeKey(bytes([7] * 32))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes([9] * 32))
SMALL = JournalOptions(segment_bytes=400, checkpoint_records=5)
ROOT = Path(__file__).resolve().parents[2]


def record(number: int) -> EventRecord:
    return EventRecord(at_ms=number, event="test", detail={"n": number})


def write(folder: Path, numbers, options: JournalOptions = SMALL) -> list:
    async def run():
        journal = FileJournal(folder, KEY.signing, options)
        try:
            return [await journal.append(record(number)) for number in numbers]
        finally:
            journal.close()

    return asyncio.run(run())


def newest(folder: Path) -> Path:
    return max(folder.glob("*.journal"))


def test_records_come_back_over_segments_and_restarts(tmp_path):
    receipts = write(tmp_path, range(20)) + write(tmp_path, range(20, 40))
    assert [receipt.index for receipt in receipts] == list(range(40))
    assert len(list(tmp_path.glob("*.journal"))) > 3
    journal = FileJournal(tmp_path, KEY.signing, SMALL)
    assert list(journal.read(0, 100, 1 << 20)) == [encode_record(record(n)) for n in range(40)]
    assert list(journal.read(37, 2, 1 << 20)) == [encode_record(record(n)) for n in (37, 38)]
    assert len(journal.read(3, 10, 1)) == 1
    journal.close()
    assert receipts[7].leaf == hash_leaf(encode_record(record(7))).hex()


def test_a_clean_journal_is_whole_unbroken_and_signed(tmp_path):
    write(tmp_path, range(23))
    report = verify_journal(tmp_path, KEY.sign_public)
    assert (report.whole, report.size, report.signed_size) == (True, 23, 23)


def test_a_torn_tail_is_cut_off_and_nothing_before_it(tmp_path):
    write(tmp_path, range(3), JournalOptions())
    with newest(tmp_path).open("ab") as file:
        file.write(b"\0\0\0\x30torn")
    assert verify_journal(tmp_path).whole
    assert write(tmp_path, [3], JournalOptions())[0].index == 3
    assert verify_journal(tmp_path).size == 4


def fill(folder: Path) -> bytes:
    """Give what the newest segment holds behind its last frame."""
    data = newest(folder).read_bytes()
    *_, (offset, record) = walk_frames(data)
    return data[offset:] if record is None else b""


async def test_what_is_written_beforehand_is_no_record_and_goes_at_a_clean_stop(tmp_path):
    journal = FileJournal(tmp_path, KEY.signing)
    await journal.append(record(0))
    assert len(fill(tmp_path)) == FILL_BYTES
    report = verify_journal(tmp_path, KEY.sign_public)
    assert (report.size, report.unfinished_bytes) == (1, 0)
    assert [at for at, _ in journal.recent(0)] == [0]
    size = newest(tmp_path).stat().st_size
    await journal.append(record(1))
    assert newest(tmp_path).stat().st_size == size
    journal.close()
    assert fill(tmp_path) == b""


def test_no_ended_segment_keeps_what_was_written_beforehand(tmp_path):
    write(tmp_path, range(20))
    *ended, _ = sorted(tmp_path.glob("*.journal"))
    assert len(ended) > 1
    assert not any(path.read_bytes().endswith(NO_FRAME) for path in ended)


def test_a_segment_ends_at_its_last_record_whatever_could_be_written_beforehand(
    tmp_path, monkeypatch
):
    pwrite = os.pwrite

    def little_room(fd: int, data: bytes, at: int) -> int:
        # What is written beforehand finds half of its room, and then none.
        if bytes(data[:8]) != NO_FRAME * 8:
            return pwrite(fd, data, at)
        if len(data) < SMALL.segment_bytes:
            raise OSError(28, "No space left on device")
        return pwrite(fd, data[: len(data) // 2], at)

    monkeypatch.setattr(os, "pwrite", little_room)
    assert [receipt.index for receipt in write(tmp_path, range(20))] == list(range(20))
    monkeypatch.undo()
    *ended, _ = sorted(tmp_path.glob("*.journal"))
    assert len(ended) > 1
    assert not any(path.read_bytes().endswith(NO_FRAME) for path in ended)
    journal = FileJournal(tmp_path, KEY.signing, SMALL)
    assert len(list(journal.recent(0))) == 20
    journal.close()
    assert verify_journal(tmp_path, KEY.sign_public).whole


def after_power_loss(folder: Path, missing: int, more: bytes = b"") -> bytes:
    """Have a write of three records behind three durable ones, of which one never got there."""
    write(folder, range(3), JournalOptions())
    frames = [pack_frame(encode_record(record(n))) for n in (3, 4, 5)]
    frames[missing] = NO_FRAME * len(frames[missing])
    data = newest(folder).read_bytes() + b"".join(frames) + more + NO_FRAME * FILL_BYTES
    newest(folder).write_bytes(data)
    return data


@pytest.mark.parametrize("missing,kept", [(0, 3), (1, 4), (2, 5)])
def test_what_a_power_loss_leaves_of_the_last_write_is_cut_off(tmp_path, missing, kept):
    after_power_loss(tmp_path, missing)
    (tmp_path / "boot").write_bytes(b"boot-1")
    journal = FileJournal(tmp_path, KEY.signing, boot_id=b"boot-2")
    assert journal.size == kept
    journal.close()
    assert verify_journal(tmp_path).whole
    assert (tmp_path / "boot").read_bytes() == b"boot-2"


def test_without_a_power_loss_a_whole_record_behind_damage_is_damage(tmp_path):
    data = after_power_loss(tmp_path, 0)
    (tmp_path / "boot").write_bytes(b"boot-1")
    with pytest.raises(JournalError, match="is damaged"):
        FileJournal(tmp_path, KEY.signing, boot_id=b"boot-1")
    assert newest(tmp_path).read_bytes() == data


def test_a_power_loss_explains_no_damage_before_the_last_write(tmp_path):
    far = b"".join(pack_frame(b"x" * 4_000) for _ in range(70))
    data = after_power_loss(tmp_path, 0, far)
    with pytest.raises(JournalError, match="is damaged"):
        FileJournal(tmp_path, KEY.signing, boot_id=b"boot-2")
    assert newest(tmp_path).read_bytes() == data


def test_a_power_loss_explains_nothing_of_what_a_checkpoint_covers(tmp_path):
    write(tmp_path, range(6), JournalOptions())
    path = newest(tmp_path)
    data = bytearray(path.read_bytes() + NO_FRAME * FILL_BYTES)
    data[80] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalError, match=r"ends at record 0.*checkpoint says 6"):
        FileJournal(tmp_path, KEY.signing, boot_id=b"boot-2")
    # Five of them are whole, and may be all that is left.
    assert path.read_bytes() == data


def test_blocks_that_were_never_written_hold_no_records(tmp_path):
    write(tmp_path, range(3), JournalOptions())
    with newest(tmp_path).open("ab") as file:
        file.write(bytes(4_096))
    assert write(tmp_path, [3], JournalOptions())[0].index == 3


def test_damage_before_the_end_names_the_file_and_changes_nothing(tmp_path):
    write(tmp_path, range(3), JournalOptions())
    path = newest(tmp_path)
    data = bytearray(path.read_bytes())
    data[80] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(JournalError, match=path.name):
        FileJournal(tmp_path, KEY.signing)
    assert path.read_bytes() == bytes(data)
    assert not verify_journal(tmp_path).whole


def test_records_cut_off_behind_a_checkpoint_are_missed(tmp_path):
    write(tmp_path, range(3), JournalOptions())
    path = newest(tmp_path)
    os.truncate(path, path.stat().st_size - 20)
    with pytest.raises(JournalError, match="signed checkpoint"):
        FileJournal(tmp_path, KEY.signing)
    assert not verify_journal(tmp_path).whole


def test_a_record_rewritten_with_a_right_checksum_is_seen(tmp_path):
    write(tmp_path, range(3), JournalOptions())
    path = newest(tmp_path)
    old, new = (pack_frame(encode_record(record(n))) for n in (1, 9))
    assert len(old) == len(new)
    path.write_bytes(path.read_bytes().replace(old, new))
    report = verify_journal(tmp_path)
    assert "aren't those that were signed" in report.problems[0]


def test_another_key_is_not_this_log(tmp_path):
    write(tmp_path, range(2))
    with pytest.raises(JournalError, match="another node"):
        FileJournal(tmp_path, NodeKey(bytes([8] * 32)).signing)
    assert not verify_journal(tmp_path, NodeKey(bytes([8] * 32)).sign_public).whole


@pytest.mark.parametrize("name", ["segment", "acknowledged", "checkpoints.jsonl", "is a folder"])
def test_what_cant_be_opened_is_let_go_at_once(tmp_path, name):
    write(tmp_path, range(3), JournalOptions())
    path = tmp_path / "acknowledged" if name == "is a folder" else (
        newest(tmp_path) if name == "segment" else tmp_path / name)
    before = path.read_bytes() if path.exists() else None
    if name == "is a folder":
        path.mkdir()
    else:
        path.write_bytes(b"\nrubbish\n" + (before or b""))
    held, kept = files_open(), []
    for _ in range(2):
        # Whoever keeps the error, as a log or a debugger does, keeps no lock.
        with pytest.raises(JournalError) as found:
            FileJournal(tmp_path, KEY.signing)
        kept.append(found)
        assert "another process" not in str(found.value)
    assert files_open() == held
    path.rmdir() if name == "is a folder" else path.unlink()
    if before is not None:
        path.write_bytes(before)
    journal = FileJournal(tmp_path, KEY.signing)
    assert journal.size == 3
    journal.close()


def test_a_second_process_is_refused(tmp_path):
    journal = FileJournal(tmp_path, KEY.signing)
    with pytest.raises(JournalError, match="another process"):
        FileJournal(tmp_path, KEY.signing)
    journal.close()


async def test_a_write_that_fails_fails_its_records_and_the_next_may_succeed(tmp_path, monkeypatch):
    journal = FileJournal(tmp_path, KEY.signing)
    flush, full = os.fdatasync, True

    def failing(fd: int) -> None:
        if full:
            raise OSError(28, "No space left on device")
        flush(fd)

    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(JournalError, match="No space"):
        await journal.append(record(0))
    full = False
    assert (await journal.append(record(1))).index == 0
    journal.close()
    assert verify_journal(tmp_path).size == 1


async def test_a_fault_of_one_who_is_told_keeps_nobody_else_waiting(tmp_path, monkeypatch):
    journal, release = FileJournal(tmp_path, KEY.signing), threading.Event()
    flush = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (release.wait(10), flush(fd)))
    first = journal.append(record(0))
    await asyncio.sleep(0.05)

    def failing(_) -> None:
        raise RuntimeError("a fault of ours")

    # Both wait for the first, so they are written and told together.
    journal.append_all([record(1)], failing)
    told = asyncio.get_running_loop().create_future()
    journal.append_all([record(2)], told.set_result)
    release.set()
    async with asyncio.timeout(10):
        assert (await first).index == 0
        assert (await told)[0].index == 2
    journal.close()


def sign_all(journal: FileJournal, upto: int, witness: Ed25519PrivateKey = WITNESS) -> None:
    """What the platform does: take records, counter-sign the checkpoints they reach."""
    journal.acknowledge(upto)
    while (point := journal.uncountersigned()) is not None:
        journal.keep_countersignature(point, countersign(point, 1, witness))


def test_a_segment_that_is_retired_while_it_is_read_is_said_to_be(tmp_path):
    write(tmp_path, range(20))
    options = JournalOptions(segment_bytes=400, checkpoint_records=5, retire_age_s=0)
    journal = FileJournal(tmp_path, KEY.signing, options, now=lambda: 2**40)
    walking = journal.recent(0)
    assert next(walking)[0] == 0
    sign_all(journal, 20)
    with pytest.raises(JournalError, match="retired"):
        list(walking)
    journal.close()


def test_segments_are_retired_by_age_once_acknowledged_and_counter_signed(tmp_path):
    write(tmp_path, range(30))
    options = JournalOptions(segment_bytes=400, checkpoint_records=5, retire_age_s=0)
    journal = FileJournal(tmp_path, KEY.signing, options, now=lambda: 2**40)
    journal.acknowledge(12)
    assert journal.read(0, 1, 1)
    sign_all(journal, 12)
    assert 0 < journal.countersigned <= 12
    with pytest.raises(JournalError, match="retired"):
        journal.read(0, 1, 1)
    assert journal.read(12, 1, 1)
    journal.close()
    report = verify_journal(tmp_path)
    assert report.whole
    assert 0 < report.first <= report.countersigned_size <= 12
    journal = FileJournal(tmp_path, KEY.signing, options)
    assert journal.countersigned == report.countersigned_size
    journal.close()


def test_another_platforms_key_is_not_taken_later(tmp_path):
    write(tmp_path, range(20))
    journal = FileJournal(tmp_path, KEY.signing, SMALL)
    sign_all(journal, 6)
    journal.acknowledge(20)
    point = journal.uncountersigned()
    with pytest.raises(JournalError, match="another key"):
        journal.keep_countersignature(
            point, countersign(point, 1, Ed25519PrivateKey.generate()))
    other = journal.uncountersigned()
    assert other == point
    journal.close()


def test_a_counter_signature_of_another_root_is_not_kept(tmp_path):
    write(tmp_path, range(6))
    journal = FileJournal(tmp_path, KEY.signing, SMALL)
    journal.acknowledge(6)
    point = journal.uncountersigned()
    said = countersign(msgspec.structs.replace(point, root="00" * 32), 1, WITNESS)
    with pytest.raises(JournalError, match="another checkpoint"):
        journal.keep_countersignature(point, said)
    assert journal.countersigned == 0
    journal.close()


async def test_a_record_is_under_a_checkpoint_soon_without_others_behind_it(tmp_path):
    journal = FileJournal(tmp_path, KEY.signing, JournalOptions(checkpoint_age_s=0.05))
    await journal.append(record(0))
    journal.acknowledge(1)
    async with asyncio.timeout(5):
        while journal.uncountersigned() is None:
            await asyncio.sleep(0.01)
    journal.close()
    assert verify_journal(tmp_path).signed_size == 1


def test_checkpoints_that_nothing_needs_are_dropped_and_the_rest_verifies(tmp_path, monkeypatch):
    monkeypatch.setattr("edge.audit.checkpoint.KEPT_MAX", 30)
    monkeypatch.setattr("edge.audit.checkpoint.NEWEST_KEPT", 5)
    options = JournalOptions(segment_bytes=2_000, checkpoint_records=1, retire_age_s=0)
    write(tmp_path, range(150), options)
    assert len(read_checkpoints(tmp_path)) <= 36
    assert verify_journal(tmp_path).whole
    journal = FileJournal(tmp_path, KEY.signing, options, now=lambda: 2**40)
    sign_all(journal, 150)
    journal.close()
    report = verify_journal(tmp_path)
    assert report.whole, report.problems
    assert report.first > 0


def test_a_torn_checkpoint_is_cut_off_before_the_next_one(tmp_path):
    write(tmp_path, range(6))
    with (tmp_path / "checkpoints.jsonl").open("ab") as file:
        file.write(b'{"log":"torn')
    write(tmp_path, range(6, 12))
    report = verify_journal(tmp_path)
    assert (report.whole, report.signed_size) == (True, 12)


@pytest.mark.parametrize("after", [3, 60, 400, 1500])
def test_a_kill_loses_no_receipt_and_doubles_none(tmp_path, after):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "audit" / "victim.py"), str(tmp_path)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    lines = [process.stdout.readline() for _ in range(after)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    promised = dict(line.split() for line in lines if line.endswith("\n"))
    assert len(promised) >= after
    journal = FileJournal(tmp_path, KEY.signing)
    held = {str(n): hash_leaf(data).hex() for n, data in journal.recent(0)}
    journal.close()
    assert promised.items() <= held.items()
    assert len(set(held.values())) == len(held)
