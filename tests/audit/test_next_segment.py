"""A next segment that can't be begun, on a disk that removes nothing: the journal stays whole."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.audit import segments as segments_room
from edge.audit import writer as writer_room
from edge.audit.journal import FileJournal, JournalOptions
from edge.audit.segment import HEADER_BYTES, MAGIC
from edge.audit.segments import segment_firsts
from edge.audit.verify import verify_journal
from edge.audit.walk import walk_journal
from edge.errors import JournalError
from edge.protocol.journal import EventRecord, decode_record

KEY = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))
SMALL = JournalOptions(segment_bytes=400, checkpoint_records=3, disk_reserve_bytes=0)
BEFORE, AFTER, MORE = 30, 60, 90
WITHIN_S = 10.0


class Disk:
    """A disk whose folder takes names, but gives none back; `fails` says what else it can't."""

    def __init__(self, monkeypatch) -> None:
        self.fails = ""
        write_all, sync_folder, replace = (
            segments_room.write_all, segments_room.sync_folder, Path.replace)

        def refuse(*_, **__):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        def write(fd: int, data: bytes, at: int) -> None:
            if self.fails == "its header" and data.startswith(MAGIC):
                write_all(fd, data[:20], at)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write_all(fd, data, at)

        def sync(folder: Path) -> None:
            if self.fails == "its durable name":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            sync_folder(folder)

        def rename(path: Path, target: Path) -> Path:
            if self.fails == "its name" and target.suffix == ".journal":
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            return replace(path, target)

        monkeypatch.setattr(Path, "unlink", refuse)
        monkeypatch.setattr(os, "unlink", refuse)
        monkeypatch.setattr(Path, "replace", rename)
        monkeypatch.setattr(segments_room, "write_all", write)
        monkeypatch.setattr(segments_room, "sync_folder", sync)


@pytest.fixture
def disk(monkeypatch):
    monkeypatch.setattr(writer_room, "PROBE_S", 0.02)
    return Disk(monkeypatch)


async def append(journal: FileJournal, numbers: range) -> list[int]:
    """Append one by one; give which were promised."""
    promised = []
    for number in numbers:
        try:
            receipt = await journal.append(EventRecord(
                at_ms=number, event="test", detail={"n": number}))
        except JournalError:
            continue
        promised.append(number)
        assert receipt.index == journal.size - 1
    return promised


async def begun(journal: FileJournal) -> None:
    """Wait until no segment is full."""
    async with asyncio.timeout(WITHIN_S):
        while journal._segments.tail_bytes >= SMALL.segment_bytes:
            await asyncio.sleep(0.01)


async def mended(journal: FileJournal) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not journal.accepting or journal.failure:
            await asyncio.sleep(0.01)


def held(folder: Path) -> list[int]:
    assert verify_journal(folder).whole, verify_journal(folder).problems
    return [decode_record(data).detail["n"] for _, data in walk_journal(folder, 0, lambda *_: None)]


@pytest.mark.parametrize("fails", ["its header", "its name"])
async def test_the_old_segment_goes_on_and_what_is_left_is_never_a_record(tmp_path, disk, fails):
    journal = FileJournal(tmp_path, KEY, SMALL)
    assert await append(journal, range(BEFORE)) == [*range(BEFORE)]
    await begun(journal)
    firsts = segment_firsts(tmp_path)
    disk.fails = fails
    assert await append(journal, range(BEFORE, AFTER)) == [*range(BEFORE, AFTER)]
    assert journal.failure
    assert held(tmp_path) == [*range(AFTER)]
    assert segment_firsts(tmp_path) == firsts
    # Whoever starts now finds what was promised, and goes on.
    journal.close()
    journal = FileJournal(tmp_path, KEY, SMALL)
    assert journal.size == AFTER
    disk.fails = ""
    assert await append(journal, range(AFTER, MORE)) == [*range(AFTER, MORE)]
    await mended(journal)
    journal.close()
    assert len(segment_firsts(tmp_path)) > len(firsts) + 1
    assert held(tmp_path) == [*range(MORE)]
    journal = FileJournal(tmp_path, KEY, SMALL)
    assert journal.size == MORE
    journal.close()


async def test_a_segment_takes_no_record_before_its_name_is_durable(tmp_path, disk):
    journal = FileJournal(tmp_path, KEY, SMALL)
    await append(journal, range(BEFORE))
    disk.fails = "its durable name"
    promised = await append(journal, range(BEFORE, AFTER))
    # The old one had room for some; from the new one on nothing is promised.
    assert promised == [*range(BEFORE, BEFORE + len(promised))]
    assert len(promised) < AFTER - BEFORE
    assert not journal.accepting
    newest = max(tmp_path.glob("*.journal"))
    assert int(newest.stem) == BEFORE + len(promised)
    assert newest.stat().st_size == HEADER_BYTES
    assert held(tmp_path) == [*range(BEFORE), *promised]
    disk.fails = ""
    await mended(journal)
    assert await append(journal, range(AFTER, MORE)) == [*range(AFTER, MORE)]
    journal.close()
    assert held(tmp_path) == [*range(BEFORE), *promised, *range(AFTER, MORE)]


async def test_a_started_node_insists_on_the_name_of_the_segment_that_it_finds(tmp_path, disk):
    journal = FileJournal(tmp_path, KEY, SMALL)
    await append(journal, range(BEFORE))
    journal.close()
    disk.fails = "its durable name"
    journal = FileJournal(tmp_path, KEY, SMALL)
    assert await append(journal, range(BEFORE, AFTER)) == []
    disk.fails = ""
    await mended(journal)
    assert await append(journal, range(AFTER, MORE)) == [*range(AFTER, MORE)]
    journal.close()
    assert held(tmp_path) == [*range(BEFORE), *range(AFTER, MORE)]
