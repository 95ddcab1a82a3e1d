"""`journal-commit`: microseconds a durable record costs, 64 writers at once.

- Ours: `FileJournal.append` awaited by 64 tasks: encoding, hashing, group commit, receipts.
  Theirs: one writer that appends the same bytes and calls fdatasync after each 64.
- Both on the same disk, in turn; a disk whose flush costs nothing makes the ratio worse, since
  only our own work is left.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.harness import Result
from bench.harness_sample import record
from edge.audit.journal import FileJournal
from edge.audit.segment import pack_frame
from edge.protocol.journal import encode_record

NAME = "journal-commit"
WRITERS = 64
RECORDS, SMALL_RECORDS = 12_800, 1_920
ROUNDS, SMALL_ROUNDS = 9, 3
FOLDER = Path("var/bench")
"""On the disk of the project, since a temporary folder may be in memory."""


def run(small: bool) -> Result:
    """Append in interleaved rounds."""
    count = SMALL_RECORDS if small else RECORDS
    records = [record(number) for number in range(count)]
    frames = [pack_frame(encode_record(item)) for item in records]
    FOLDER.mkdir(parents=True, exist_ok=True)
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(prefix="journal-", dir=FOLDER) as name:
        journal = FileJournal(Path(name) / "journal", Ed25519PrivateKey.generate())
        fd = os.open(Path(name) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        async def write(first: int) -> None:
            """Append one writer's records."""
            for item in records[first::WRITERS]:
                await journal.append(item)

        async def all_writers() -> float:
            """Give the seconds that all writers take at once."""
            start = time.perf_counter()
            await asyncio.gather(*(write(first) for first in range(WRITERS)))
            return time.perf_counter() - start

        def bare() -> float:
            """Give the seconds of writing the same bytes with a flush a batch."""
            start = time.perf_counter()
            for first in range(0, count, WRITERS):
                for frame in frames[first : first + WRITERS]:
                    os.write(fd, frame)
                os.fdatasync(fd)
            return time.perf_counter() - start

        try:
            for _ in range(1 + (SMALL_ROUNDS if small else ROUNDS)):
                ours.append(asyncio.run(all_writers()) / count * 1e6)
                theirs.append(bare() / count * 1e6)
        finally:
            os.close(fd)
            journal.close()
    mine, yours = statistics.median(ours[1:]), statistics.median(theirs[1:])
    return Result(
        measure=NAME, ours=round(mine, 2), theirs=round(yours, 2), unit="us",
        ratio=round(mine / yours, 3),
        against=f"one writer of the same bytes, fdatasync each {WRITERS}", n=count,
        settings={"writers": WRITERS, "record_bytes": len(frames[0]), "rounds": len(ours) - 1},
    )
