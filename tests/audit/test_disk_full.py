"""A disk that is really full, at every kind of write: refused, nothing lost, mended by itself."""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.audit.journal import FileJournal, JournalOptions
from edge.audit.verify import verify_journal
from edge.errors import JournalError, JournalFull
from edge.hotpath.checkpoint import countersign
from edge.hotpath.merkle import hash_leaf
from edge.node_key import NodeKey
from edge.protocol.journal import EventRecord
from tests.fakes.full_disk import KINDS, small_disk

KEY = NodeKey(bytes([7] * 32))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes([9] * 32))
ROOT = Path(__file__).resolve().parents[2]
BARE = JournalOptions(disk_reserve_bytes=0)
"""No reserve, so that the writes themselves meet the full disk."""
MENDED_WITHIN_S = 10.0


def record(number: int) -> EventRecord:
    return EventRecord(at_ms=number, event="test", detail={"n": number, "text": "x" * 500})


@pytest.fixture(params=KINDS)
def disk(request, tmp_path):
    with small_disk(request.param, tmp_path) as disk:
        yield disk


@pytest.fixture
def folder(disk):
    return disk.folder / "journal"


@contextlib.contextmanager
def opened(folder, options=BARE, **more):
    journal = FileJournal(folder, KEY.signing, options, **more)
    try:
        yield journal
    finally:
        journal.close()


async def refused(journal, tries=200):
    """Append until the disk refuses; give the receipts before, and the refusal."""
    receipts = []
    for number in range(tries):
        try:
            receipts.append(await journal.append(record(number)))
        except JournalError as error:
            return receipts, error
    raise AssertionError("the disk took everything")


async def mended(journal):
    async with asyncio.timeout(MENDED_WITHIN_S):
        while not journal.accepting or journal.failure:
            await asyncio.sleep(0.02)


def held(journal):
    return [hash_leaf(data).hex() for _, data in journal.recent(0)]


async def test_a_record_that_meets_a_full_disk_is_refused_and_room_is_found_again(disk, folder):
    with opened(folder) as journal:
        receipts = [await journal.append(record(0))]
        disk.fill()
        more, error = await refused(journal)
        receipts += more
        assert isinstance(error, JournalFull)
        assert "full" in journal.failure
        with pytest.raises(JournalFull, match="full"):
            journal.check()
        disk.free()
        await mended(journal)
        journal.check()
        receipts.append(await journal.append(record(999)))
        assert [item.index for item in receipts] == list(range(len(receipts)))
        assert held(journal) == [item.leaf for item in receipts]
    assert verify_journal(folder).whole


async def test_many_at_once_on_a_full_disk_lose_nothing_that_was_promised(disk, folder):
    with opened(folder) as journal:
        await journal.append(record(0))
        disk.fill(leave=40_000)
        results = await asyncio.gather(
            *(journal.append(record(n)) for n in range(400)), return_exceptions=True)
        refusals = [item for item in results if isinstance(item, JournalError)]
        assert refusals
        disk.free()
        await mended(journal)
        again = await journal.append(record(1))
        promised = [item.leaf for item in results if not isinstance(item, Exception)]
        leaves = held(journal)
        assert set(promised) <= set(leaves)
        assert leaves[-1] == again.leaf
    assert verify_journal(folder).whole


async def test_a_checkpoint_that_meets_a_full_disk_is_signed_later(disk, folder):
    options = JournalOptions(disk_reserve_bytes=0, checkpoint_age_s=0.3)
    with opened(folder, options) as journal:
        await journal.append(record(0))
        async with asyncio.timeout(5):
            while journal.failure or not (folder / "checkpoints.jsonl").exists():
                await asyncio.sleep(0.02)
        receipt = await journal.append(record(1))
        disk.fill()
        await asyncio.sleep(1.0)
        lines = (folder / "checkpoints.jsonl").read_bytes()
        assert lines.endswith(b"\n")
        disk.free()
        await mended(journal)
        journal.acknowledge(2)
        async with asyncio.timeout(MENDED_WITHIN_S):
            while (point := journal.uncountersigned()) is None or point.size < 2:
                await asyncio.sleep(0.02)
        assert held(journal)[1] == receipt.leaf
    assert verify_journal(folder).signed_size == 2


async def test_a_segment_that_cannot_be_begun_lets_the_old_one_go_on(tmp_path):
    """No name is free though bytes are: a file system of few files."""
    with small_disk("tmpfs", tmp_path) as disk:
        subprocess.run(
            ["mount", "-o", "remount,nr_inodes=9", disk.folder], check=True)
        options = JournalOptions(disk_reserve_bytes=0, segment_bytes=2_000, checkpoint_records=1)
        folder = disk.folder / "journal"
        with opened(folder, options) as journal:
            receipts = [await journal.append(record(number)) for number in range(40)]
            assert "checkpoint" in journal.failure
            segments = len(list(folder.glob("*.journal")))
            assert segments < 6
            assert [item.leaf for item in receipts] == held(journal)
            subprocess.run(
                ["mount", "-o", "remount,nr_inodes=200", disk.folder], check=True)
            await journal.append(record(40))
            async with asyncio.timeout(MENDED_WITHIN_S):
                while len(list(folder.glob("*.journal"))) == segments or journal.failure:
                    await asyncio.sleep(0.02)
        with opened(folder, options) as journal:
            assert len(held(journal)) == 41
        assert verify_journal(folder).whole


async def test_an_acknowledgement_that_meets_a_full_disk_is_taken_later(disk, folder):
    with opened(folder) as journal:
        await journal.append(record(0))
        journal.acknowledge(0)
        disk.fill()
        with pytest.raises(JournalError, match="acknowledged"):
            journal.acknowledge(1)
        assert journal.acknowledged == 0
        disk.free()
        journal.acknowledge(1)
        await mended(journal)
    with opened(folder) as journal:
        assert journal.acknowledged == 1


async def test_a_counter_signature_that_meets_a_full_disk_is_kept_later(disk, folder):
    options = JournalOptions(disk_reserve_bytes=0, checkpoint_records=1)
    with opened(folder, options) as journal:
        for number in range(2):
            await journal.append(record(number))
        await asyncio.sleep(0.1)
        journal.acknowledge(1)
        first = journal.uncountersigned()
        journal.keep_countersignature(first, countersign(first, 1, WITNESS))
        journal.acknowledge(2)
        second = journal.uncountersigned()
        disk.fill()
        with pytest.raises(JournalError):
            journal.keep_countersignature(second, countersign(second, 1, WITNESS))
        assert journal.countersigned == 1
        disk.free()
        journal.keep_countersignature(second, countersign(second, 1, WITNESS))
        await mended(journal)
    with opened(folder) as journal:
        assert journal.countersigned == 2


async def test_a_journal_opens_on_a_full_disk_and_says_so(disk, folder):
    with opened(folder) as journal:
        receipts = [await journal.append(record(number)) for number in range(3)]
    disk.fill()
    with opened(folder) as journal:
        assert held(journal) == [item.leaf for item in receipts]
        more, error = await refused(journal)
        assert isinstance(error, JournalFull)
        disk.free()
        await mended(journal)
        receipt = await journal.append(record(4))
        assert receipt.index == 3 + len(more)
    assert verify_journal(folder).whole


async def test_below_the_reserve_nothing_is_accepted_though_bytes_are_free(disk, folder):
    options = JournalOptions(disk_reserve_bytes=1024 * 1024)
    with opened(folder, options) as journal:
        await journal.append(record(0))
        disk.fill(leave=512 * 1024)
        with pytest.raises(JournalFull, match="reserve"):
            await journal.append(record(1))
        disk.free()
        await mended(journal)
        assert (await journal.append(record(1))).index == 1


async def test_at_its_bound_the_journal_lets_go_of_what_the_platform_signed(tmp_path):
    options = JournalOptions(
        disk_bytes_max=70_000, disk_reserve_bytes=0, segment_bytes=4_000, checkpoint_records=5)
    with opened(tmp_path, options) as journal:
        receipts, error = await refused(journal)
        assert isinstance(error, JournalFull)
        assert "disk_bytes_max" in str(error)
        assert journal.disk_bytes <= 70_000
        half = len(receipts) // 2
        journal.acknowledge(half)
        while (point := journal.uncountersigned()) is not None:
            journal.keep_countersignature(point, countersign(point, 1, WITNESS))
        await mended(journal)
        assert (await journal.append(record(999))).index == len(receipts)
        assert journal.read(half, 1, 1)
        with pytest.raises(JournalError, match="retired"):
            journal.read(0, 1, 1)
    report = verify_journal(tmp_path)
    assert report.whole, report.problems


CHILD = """
import asyncio, resource, sys
from pathlib import Path
from edge.audit.journal import FileJournal, JournalOptions
from edge.errors import JournalFull
from edge.node_key import NodeKey
from edge.protocol.journal import EventRecord

async def main():
    journal = FileJournal(
        Path(sys.argv[1]), NodeKey(bytes([7] * 32)).signing, JournalOptions(disk_reserve_bytes=0))
    number = 0
    try:
        while True:
            await journal.append(
                EventRecord(at_ms=1, event="test", detail={"n": number, "text": "x" * 500}))
            number += 1
    except JournalFull:
        print(number, flush=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    async with asyncio.timeout(10):
        while not journal.accepting:
            await asyncio.sleep(0.02)
    receipt = await journal.append(EventRecord(at_ms=1, event="test", detail={}))
    print(receipt.index)
    journal.close()

asyncio.run(main())
"""


def test_a_file_that_may_not_grow_is_a_full_disk_too(tmp_path):
    """For machines where nothing can be mounted: the bound of a file's size."""
    def bound():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], preexec_fn=bound, cwd=ROOT, timeout=60,
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, done.stderr
    before, index = done.stdout.split()
    assert int(before) > 50
    assert int(index) == int(before)
    assert verify_journal(tmp_path).size == int(before) + 1
