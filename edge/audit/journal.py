"""The journal: append-only, durable before the answer leaves, by group commit.

- The records of one turn of the event loop are handed over together to one writer thread.
- One event loop appends.
- Leaves are hashed as in RFC 6962 from the first record on; checkpoints are signed at every
  segment's end, every so many records, when records have waited for one long enough, and at a
  clean stop. The central platform counter-signs them.
- What the platform holds and counter-signed is removed when it is old, or when there is no room.
- One process at a time holds the folder.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.audit.checkpoint import CheckpointBook, read_number
from edge.audit.recovery import recover
from edge.audit.room import Room
from edge.audit.segments import FILL_BYTES
from edge.audit.writer import Group, Settled, Writer, WriterBounds, resolve
from edge.errors import CapacityError, JournalError
from edge.files import hold_file, write_file
from edge.hotpath.checkpoint import Checkpoint, Countersignature, log_id
from edge.protocol.journal import RECORD_BYTES_MAX, JournalRecord, Receipt, encode_record

ACKNOWLEDGED = "acknowledged"
LOCK = "lock"
COUNTERSIGN_RECORDS = 50_000
"""Records that one counter-signature takes in at most, where checkpoints are that near."""


class JournalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the journal.

    Attributes:
        waiting_max: Records that may wait to be durable.
        batch_max: Records of one flush.
        segment_bytes: A segment ends when it is larger.
        checkpoint_records: A checkpoint is signed after so many.
        checkpoint_age_s: Or when a record has waited so long for one.
        retire_age_s: Segments older than this are removed, once the platform holds and
            counter-signed them.
        disk_bytes_max: Bytes of all segments; at the bound such segments go whatever their age,
            and where there are none nothing is accepted.
        disk_reserve_bytes: What must stay free on the disk; the same happens below it.
    """

    waiting_max: int = 20_000
    batch_max: int = 1_024
    segment_bytes: int = 32 * 1024 * 1024
    checkpoint_records: int = 10_000
    checkpoint_age_s: float = 60.0
    retire_age_s: int = 90 * 86_400
    disk_bytes_max: int = 8 * 1024**3
    disk_reserve_bytes: int = 64 * 1024**2


class FileJournal:
    """Implements the pipeline's `Journal` and sync's `JournalSource`."""

    def __init__(
        self,
        folder: Path,
        key: Ed25519PrivateKey,
        options: JournalOptions | None = None,
        now: Callable[[], float] = time.time,
        boot_id: bytes = b"",
    ) -> None:
        """Open the folder, recover its end (for `boot_id` see `recover`) and start the writer.

        Raises:
            JournalError: It is damaged, of another node, or held by another process.
        """
        self._options = options = options or JournalOptions()
        self._folder, self._now = folder, now
        self.log = log_id(key.public_key().public_bytes_raw())
        self._room = Room(folder, options.disk_bytes_max, options.disk_reserve_bytes)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock_fd = _lock(folder)
            try:
                self._book = CheckpointBook(folder, self.log)
                self._acknowledged = read_number(folder / ACKNOWLEDGED)
                self._segments, tree = recover(
                    folder, self.log, fill_bytes=min(FILL_BYTES, options.segment_bytes),
                    boot_id=boot_id)
            except BaseException:
                os.close(self._lock_fd)
                raise
        except OSError as error:
            raise JournalError(f"{folder}: {error.strerror}") from error
        self._writer = Writer(
            self.log, self._segments, tree, self._book, self._room,
            WriterBounds(
                batch_max=options.batch_max, segment_bytes=options.segment_bytes,
                checkpoint_records=options.checkpoint_records,
                checkpoint_age_s=options.checkpoint_age_s),
            key, now, self._releasable)
        self._gathered: list[tuple[bytes, asyncio.Future[Receipt]]] = []
        # What is taken is counted here, what is settled by the writer; their difference waits.
        self._taken = 0
        self._closing = False
        self._writer.start()

    @property
    def size(self) -> int:
        """How many records are durable."""
        return self._writer.size

    @property
    def acknowledged(self) -> int:
        """Index of the first record that the central platform may not hold."""
        return self._acknowledged

    @property
    def countersigned(self) -> int:
        """Index of the first record that no counter-signed checkpoint covers."""
        return self._book.countersigned

    @property
    def unshipped_bytes(self) -> int:
        """About how many bytes of records the central platform may not hold."""
        try:
            return self._segments.bytes_from(self._acknowledged)
        except OSError:
            return 0

    @property
    def failure(self) -> str:
        """Words of what can't be written now, empty if everything can."""
        problem = self._writer.problem
        return str(problem) if problem is not None else self._writer.unsigned_why

    @property
    def accepting(self) -> bool:
        """Whether a record could be promised now."""
        return self._writer.problem is None

    @property
    def disk_bytes(self) -> int:
        """Bytes of all segments."""
        return self._segments.bytes_held

    @property
    def disk_free_bytes(self) -> int | None:
        """Bytes free on the journal's disk, None where that can't be told."""
        return self._room.free_bytes()

    @property
    def waiting(self) -> int:
        """Records that wait to be durable."""
        return self._taken - self._writer.settled

    def check(self) -> None:
        """Insist that a record could be promised now, before anything is done that needs one.

        Raises:
            JournalError: The last write failed, and trying again hasn't succeeded yet.
        """
        problem = self._writer.problem
        if problem is not None:
            raise type(problem)(str(problem))

    def append(self, record: JournalRecord) -> "asyncio.Future[Receipt]":
        """Append a record; its receipt is there when it is durable.

        Raises:
            JournalError: It can't be promised; also from the future.
            CapacityError: Too many wait already.
        """
        data = encode_record(record)
        self._take([data])
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        if not self._gathered:
            # Waking the writer for each record would make it flush each by itself, and the two
            # threads pass the interpreter's lock to and fro.
            loop.call_soon(self._hand_over)
        self._gathered.append((data, future))
        return future

    def append_all(self, records: Sequence[JournalRecord], settled: Settled) -> None:
        """Append records together; `settled` is told on the event loop when they are durable.

        Raises:
            JournalError: They can't be promised; `settled` isn't called then.
            CapacityError: Too many wait already.
        """
        self.append_all_encoded([encode_record(record) for record in records], settled)

    def append_all_encoded(self, records: Sequence[bytes], settled: Settled) -> None:
        """Append records together that are encoded already; see `append_all`."""
        self._take(records)
        self._writer.hand_over(Group(records, settled, asyncio.get_running_loop()))

    def _take(self, records: Sequence[bytes]) -> None:
        """Promise encoded records now; raises as `append`."""
        largest = max(map(len, records))
        if largest > RECORD_BYTES_MAX:
            raise JournalError(f"a record of {largest} bytes is larger than the bound")
        if self._closing:
            raise JournalError("the journal is closed")
        if self._taken - self._writer.settled >= self._options.waiting_max:
            raise CapacityError("too many records wait for the journal")
        self._taken += len(records)

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        for first in range(0, len(gathered), self._options.batch_max):
            some = gathered[first : first + self._options.batch_max]
            futures = [future for _, future in some]
            self._writer.hand_over(Group(
                [data for data, _ in some], partial(resolve, futures), futures[0].get_loop()))

    def read(self, first: int, records_max: int, bytes_max: int) -> Sequence[bytes]:
        """Give durable records from `first` on, within both bounds, at least one if any.

        Raises:
            JournalError: They can't be read, or were retired already.
        """
        found: list[bytes] = []
        total = 0
        for record in self._segments.records(first, self.size):
            total += len(record)
            if found and (len(found) >= records_max or total > bytes_max):
                break
            found.append(record)
        return found

    def recent(self, first: int) -> Iterator[tuple[int, bytes]]:
        """Walk through durable records from an index on, with their indices."""
        yield from enumerate(self._segments.records(first, self.size), first)

    def first_since(self, at_s: float) -> int:
        """Give the first index of a segment in which records since a time may stand."""
        return self._segments.first_since(at_s)

    def acknowledge(self, upto: int) -> None:
        """Remember durably that the platform holds every record before `upto`.

        Raises:
            JournalError: It can't be written.
        """
        try:
            write_file(self._folder / ACKNOWLEDGED, str(upto).encode())
            self._acknowledged = upto
            self._retire()
        except OSError as error:
            raise JournalError(f"{self._folder / ACKNOWLEDGED}: {error.strerror}") from error

    def uncountersigned(self, upto: int | None = None) -> Checkpoint | None:
        """Give the checkpoint that the platform can counter-sign next, None if there is none.

        `upto` is how many records it will hold then; None = what it acknowledged.
        """
        return self._book.unsigned(
            self._acknowledged if upto is None else upto, COUNTERSIGN_RECORDS)

    def keep_countersignature(self, point: Checkpoint, said: Countersignature) -> None:
        """Keep the platform's counter-signature of a checkpoint durably.

        Raises:
            JournalError: It isn't the platform's, or can't be written.
        """
        try:
            self._book.keep(point, said)
            self._retire()
        except OSError as error:
            raise JournalError(f"{self._folder}: {error.strerror}") from error

    def _retire(self) -> None:
        self._segments.retire(self._releasable(), self._now() - self._options.retire_age_s)

    def _releasable(self) -> int:
        """How many records the platform holds and counter-signed."""
        return min(self._acknowledged, self._book.countersigned)

    def close(self) -> None:
        """Write what waits, sign a checkpoint and let go of the folder."""
        if self._closing:
            return
        self._closing = True
        self._hand_over()
        self._writer.finish()
        self._segments.close()
        os.close(self._lock_fd)


def _lock(folder: Path) -> int:
    fd = hold_file(folder / LOCK)
    if fd is None:
        raise JournalError(f"{folder} is held by another process of this node")
    return fd
