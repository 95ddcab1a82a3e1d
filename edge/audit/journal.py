"""The journal: append-only, durable before the answer leaves, by group commit.

- One writer thread takes all records that wait, writes them, flushes once, and only then
  lets their answers go.
- A write that fails fails all its records; what reached the file of them is cut off again,
  and nothing is accepted until a write succeeds.
- Leaves are hashed as in RFC 6962 from the first record on; checkpoints are signed at every
  segment's end, every so many records, and at a clean stop.
- One process at a time holds the folder.
"""

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.audit.checkpoint import FILE as CHECKPOINTS
from edge.audit.checkpoint import log_id, sign_checkpoint
from edge.audit.recovery import recover
from edge.audit.segment import pack_frame
from edge.errors import CapacityError, JournalError
from edge.hotpath.merkle import hash_leaf
from edge.protocol.journal import (
    RECORD_BYTES_MAX,
    JournalRecord,
    Receipt,
    encode_record,
)

ACKNOWLEDGED = "acknowledged"
LOCK = "lock"


class JournalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the journal.

    Attributes:
        waiting_max: Records that may wait for the writer.
        batch_max: Records of one flush.
        segment_bytes: A segment ends when it is larger.
        checkpoint_records: A checkpoint is signed after so many.
        retire_age_s: Acknowledged segments older than this are removed.
    """

    waiting_max: int = 20_000
    batch_max: int = 1_024
    segment_bytes: int = 32 * 1024 * 1024
    checkpoint_records: int = 10_000
    retire_age_s: int = 90 * 86_400


_Waiting = tuple[bytes, "asyncio.Future[Receipt]"]


class FileJournal:
    """Implements the pipeline's `Journal` and sync's `JournalSource`."""

    def __init__(
        self,
        folder: Path,
        key: Ed25519PrivateKey,
        options: JournalOptions | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Open the folder, recover its end and start the writer.

        Raises:
            JournalError: It is damaged, of another node, or held by another process.
        """
        self._options = options or JournalOptions()
        self._folder, self._key, self._now = folder, key, now
        self.log = log_id(key.public_key().public_bytes_raw())
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock_fd = _lock(folder)
            self._segments, self._tree = recover(folder, self.log)
            self._acknowledged = _read_number(folder / ACKNOWLEDGED)
        except OSError as error:
            raise JournalError(f"{folder}: {error.strerror}") from error
        self._signed_size = self._tree.size
        self._failed = ""
        self._wake = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._closing = False
        self._thread = threading.Thread(target=self._write_loop, name="kanhe-journal", daemon=True)
        self._thread.start()

    @property
    def size(self) -> int:
        """How many records are durable."""
        return self._tree.size

    @property
    def acknowledged(self) -> int:
        """Index of the first record that the central platform may not hold."""
        return self._acknowledged

    @property
    def unshipped_bytes(self) -> int:
        """About how many bytes of records the central platform may not hold."""
        try:
            return self._segments.bytes_from(self._acknowledged)
        except OSError:
            return 0

    @property
    def failure(self) -> str:
        """Words of the last write's failure, empty if it succeeded."""
        return self._failed

    @property
    def waiting(self) -> int:
        """Records that wait for the writer."""
        return len(self._waiting)

    async def append(self, record: JournalRecord) -> Receipt:
        """Append a record and return when it is durable.

        Raises:
            JournalError: It can't be promised.
            CapacityError: Too many wait already.
        """
        data = encode_record(record)
        if len(data) > RECORD_BYTES_MAX:
            raise JournalError(f"a record of {len(data)} bytes is larger than the bound")
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        with self._wake:
            if self._closing:
                raise JournalError("the journal is closed")
            if len(self._waiting) >= self._options.waiting_max:
                raise CapacityError("too many records wait for the journal")
            self._waiting.append((data, future))
            self._wake.notify()
        return await future

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
        path = self._folder / ACKNOWLEDGED
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                file.write(str(upto).encode())
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            self._acknowledged = upto
            self._segments.retire(upto, self._now() - self._options.retire_age_s)
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from error

    def close(self) -> None:
        """Write what waits, sign a checkpoint and let go of the folder."""
        with self._wake:
            if self._closing:
                return
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self._segments.close()
        os.close(self._lock_fd)

    def _write_loop(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closing:
                    self._wake.wait()
                batch = self._waiting[: self._options.batch_max]
                del self._waiting[: len(batch)]
                ending = self._closing and not batch
            if ending:
                self._checkpoint(force=True)
                return
            self._write(batch)

    def _write(self, batch: list[_Waiting]) -> None:
        try:
            self._segments.append(b"".join(pack_frame(data) for data, _ in batch), len(batch))
        except OSError as error:
            self._failed = f"the journal can't be written: {error.strerror}"
            problem = JournalError(self._failed + ": free some space or mend the disk")
            problem.__cause__ = error
            _settle([(future, problem) for _, future in batch])
            return
        self._failed = ""
        receipts: list[tuple[asyncio.Future[Receipt], Receipt | JournalError]] = []
        for data, future in batch:
            leaf = hash_leaf(data)
            receipts.append((future, Receipt(self.log, self._tree.size, leaf.hex())))
            self._tree.append(leaf)
        _settle(receipts)
        if self._segments.tail_bytes >= self._options.segment_bytes:
            self._checkpoint(force=True)
            self._segments.end()
        self._checkpoint(force=False)

    def _checkpoint(self, *, force: bool) -> None:
        """Sign the tree; a checkpoint that can't be written is signed later."""
        behind = self._tree.size - self._signed_size
        if behind < (1 if force else self._options.checkpoint_records):
            return
        signed = sign_checkpoint(self._tree, int(self._now() * 1000), self._key)
        try:
            with (self._folder / CHECKPOINTS).open("ab") as file:
                file.write(msgspec.json.encode(signed) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            self._signed_size = self._tree.size
        except OSError as error:
            self._failed = f"a checkpoint can't be written: {error.strerror}"


def _settle(results: list[tuple["asyncio.Future[Receipt]", Receipt | JournalError]]) -> None:
    """Wake each loop once with its results."""
    loops = {future.get_loop() for future, _ in results}

    def resolve(loop: asyncio.AbstractEventLoop) -> None:
        for future, result in results:
            if future.get_loop() is not loop or future.done():
                continue
            if isinstance(result, Receipt):
                future.set_result(result)
            else:
                future.set_exception(result)

    for loop in loops:
        if not loop.is_closed():
            loop.call_soon_threadsafe(resolve, loop)


def _lock(folder: Path) -> int:
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise JournalError(f"{folder} is held by another process of this node") from error
    return fd


def _read_number(path: Path) -> int:
    try:
        return int(path.read_bytes())
    except FileNotFoundError:
        return 0
    except ValueError as error:
        raise JournalError(
            f"{path} is damaged: remove it; the records are then shipped again"
        ) from error
