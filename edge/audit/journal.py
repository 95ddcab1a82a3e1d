"""The journal: append-only, durable before the answer leaves, by group commit.

- The records of one turn of the event loop are handed over together; one writer thread takes
  all that were handed over while it flushed, writes them, flushes once, and only then lets
  their answers go. Batches grow with the load by themselves: no timer, no tuning.
- A write that fails fails all its records; what reached the file of them is cut off again,
  and nothing is accepted until a write succeeds.
- Leaves are hashed as in RFC 6962 from the first record on; checkpoints are signed at every
  segment's end, every so many records, and at a clean stop.
- One process at a time holds the folder, and one event loop appends.
"""

import asyncio
import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

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
        waiting_max: Records that may wait to be durable.
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
        self._gathered: list[_Waiting] = []
        self._handed: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        # Each is counted by one thread only; their difference waits.
        self._taken = self._settled = 0
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
        """Records that wait to be durable."""
        return self._taken - self._settled

    def append(self, record: JournalRecord) -> "asyncio.Future[Receipt]":
        """Append a record; its receipt is there when it is durable.

        Raises:
            JournalError: It can't be promised; also from the future.
            CapacityError: Too many wait already.
        """
        data = encode_record(record)
        if len(data) > RECORD_BYTES_MAX:
            raise JournalError(f"a record of {len(data)} bytes is larger than the bound")
        if self._closing:
            raise JournalError("the journal is closed")
        if self._taken - self._settled >= self._options.waiting_max:
            raise CapacityError("too many records wait for the journal")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._taken += 1
        if not self._gathered:
            # Waking the writer for each record would make it flush each by itself, and the two
            # threads pass the interpreter's lock to and fro.
            loop.call_soon(self._hand_over)
        self._gathered.append((data, future))
        return future

    def _hand_over(self) -> None:
        if self._gathered:
            self._handed.put(self._gathered)
            self._gathered = []

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
        if self._closing:
            return
        self._closing = True
        self._hand_over()
        self._handed.put(None)
        self._thread.join()
        self._segments.close()
        os.close(self._lock_fd)

    def _write_loop(self) -> None:
        most, ending = self._options.batch_max, False
        batch: list[_Waiting] = []
        while not ending or batch:
            with contextlib.suppress(Empty):
                while len(batch) < most and not ending:
                    handed = self._handed.get(block=not batch)
                    ending = handed is None
                    batch += handed or ()
            if batch:
                self._write(batch[:most])
                batch = batch[most:]
        self._checkpoint(force=True)

    def _write(self, batch: list[_Waiting]) -> None:
        try:
            self._segments.append(b"".join(pack_frame(data) for data, _ in batch), len(batch))
        except OSError as error:
            self._failed = f"the journal can't be written: {error.strerror}"
            problem = JournalError(self._failed + ": free some space or mend the disk")
            problem.__cause__ = error
            self._settled += len(batch)
            _settle([(future, problem) for _, future in batch])
            return
        self._failed = ""
        receipts: list[tuple[asyncio.Future[Receipt], Receipt | JournalError]] = []
        for data, future in batch:
            leaf = hash_leaf(data)
            receipts.append((future, Receipt(self.log, self._tree.size, leaf.hex())))
            self._tree.append(leaf)
        self._settled += len(batch)
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
    """Wake the loop once with all results."""

    def resolve() -> None:
        for future, result in results:
            if future.done():
                continue
            if isinstance(result, Receipt):
                future.set_result(result)
            else:
                future.set_exception(result)

    with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
        results[0][0].get_loop().call_soon_threadsafe(resolve)


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
