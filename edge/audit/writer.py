"""The journal's writer: one thread, one flush a batch, checkpoints in between.

- It takes all that was handed over while it flushed, writes it, flushes once, and only then lets
  the answers go. Batches grow with the load by themselves: no timer, no tuning.
- A write that fails fails all its records; what reached the file of them is cut off again.
- Where there is no room, segments that the platform holds and signed go first, the oldest first;
  then records are refused. Room that comes back is found by trying, without a hand.
- A fault of ours ends the promises, not the thread: every later record is refused.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.audit.checkpoint import CheckpointBook
from edge.audit.room import Room, write_problem
from edge.audit.segment import pack_frame
from edge.audit.segments import Segments
from edge.errors import JournalError, JournalFull
from edge.hotpath.checkpoint import sign_checkpoint
from edge.hotpath.merkle import Frontier, hash_leaf
from edge.protocol.journal import RECORD_BYTES_MAX, Receipt
from edge.scheduling import ask_short_slice

_LOG = logging.getLogger(__name__)
PROBE_S = 1.0
"""How often a writer without room, or with a failing disk, tries again by itself."""

Settled = Callable[[Sequence[Receipt | JournalError]], None]


class Group(NamedTuple):
    """Records that were handed over together.

    Attributes:
        records: Their bytes.
        settled: Is told on the event loop what became of each.
        loop: That event loop.
    """

    records: Sequence[bytes]
    settled: Settled
    loop: asyncio.AbstractEventLoop


_Results = list[tuple[Group, list[Receipt | JournalError]]]


class WriterBounds(msgspec.Struct, frozen=True, kw_only=True):
    """What the writer keeps to; see `JournalOptions`."""

    batch_max: int
    segment_bytes: int
    checkpoint_records: int
    checkpoint_age_s: float


class Writer:
    """Writes the records of one log.

    Attributes:
        problem: Why the last write failed, None if it succeeded.
        settled: Records that were answered, either way.
    """

    def __init__(
        self, log: str, segments: Segments, tree: Frontier, book: CheckpointBook, room: Room,
        bounds: WriterBounds, key: Ed25519PrivateKey, now: Callable[[], float],
        releasable: Callable[[], int],
    ) -> None:
        """Take what recovery found; `releasable` gives how many records needn't be kept."""
        self._log, self._segments, self._tree, self._book = log, segments, tree, book
        self._room, self._bounds, self._key, self._now = room, bounds, key, now
        self._releasable = releasable
        self._signed_size, self._unsigned_since = book.signed_size(tree.size), time.monotonic()
        self._handed: SimpleQueue[Group | None] = SimpleQueue()
        self.problem: JournalError | None = None
        self.unsigned_why = ""
        self.settled = 0
        self._broken = False
        self._thread = threading.Thread(target=self._loop, name="kanhe-journal", daemon=True)

    @property
    def size(self) -> int:
        """How many records are durable."""
        return self._tree.size

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def hand_over(self, group: Group) -> None:
        """Take records that wait to be durable."""
        self._handed.put(group)

    def finish(self) -> None:
        """Write what waits, sign a checkpoint, end the thread."""
        self._handed.put(None)
        self._thread.join()

    def _loop(self) -> None:
        # What the disk has finished is told at once, not when the event loop's slice ends.
        ask_short_slice()
        most, ending = self._bounds.batch_max, False
        while not ending:
            batch: list[Group] = []
            count = 0
            try:
                while count < most and not ending:
                    group = self._handed.get(not batch, None if batch else self._patience())
                    if group is None:
                        ending = True
                    else:
                        batch.append(group)
                        count += len(group.records)
            except Empty:
                pass
            if batch:
                self._guarded(batch, count)
            elif not ending:
                self._idle()
        self._checkpoint(force=True)

    def _patience(self) -> float | None:
        """Say how long to wait for records before looking at what else is due."""
        if self.problem is not None:
            return PROBE_S
        if self._tree.size == self._signed_size:
            return None
        if self.unsigned_why:
            return PROBE_S
        age_s = time.monotonic() - self._unsigned_since
        return max(0.0, self._bounds.checkpoint_age_s - age_s)

    def _idle(self) -> None:
        if self.problem is not None and not self._broken:
            try:
                self._make_room(RECORD_BYTES_MAX)
                self._segments.probe()
                self.problem = None
                _LOG.warning("journal.mended")
            except OSError as error:
                self.problem = write_problem(error, "the journal can't be written")
            except JournalError as error:
                self.problem = error
        if self.problem is None:
            self._checkpoint(force=False)

    def _guarded(self, batch: list[Group], count: int) -> None:
        try:
            if self._broken:
                assert self.problem is not None
                raise self.problem
            results = self._write(batch, count)
        except JournalError as error:
            results = self._failed(batch, error)
        except OSError as error:
            results = self._failed(batch, write_problem(error, "the journal can't be written"))
        except Exception as error:
            # Files and tree may disagree now: nothing may be promised before a restart.
            _LOG.exception("journal.fault")
            self._broken = True
            problem = JournalError("the journal's writer failed: restart the node")
            problem.__cause__ = error
            results = self._failed(batch, problem)
        self.settled += count
        _settle(results)
        if self.problem is None:
            self._checkpoint(force=False)

    def _failed(self, batch: list[Group], problem: JournalError) -> _Results:
        if self.problem is None:
            _LOG.error("journal.failed", extra={"why": str(problem)})
        self.problem = problem
        return [(group, [problem] * len(group.records)) for group in batch]

    def _write(self, batch: list[Group], count: int) -> _Results:
        frames = b"".join([pack_frame(data) for group in batch for data in group.records])
        self._make_room(len(frames))
        self._segments.append(frames, count)
        self.problem = None
        if self._tree.size == self._signed_size:
            self._unsigned_since = time.monotonic()
        return [(group, self._receipts(group.records)) for group in batch]

    def _receipts(self, records: Sequence[bytes]) -> list[Receipt | JournalError]:
        log, leaves = self._log, [hash_leaf(data) for data in records]
        receipts: list[Receipt | JournalError] = [
            Receipt(log, index, leaf.hex())
            for index, leaf in enumerate(leaves, self._tree.size)]
        self._tree.extend(leaves)
        return receipts

    def _make_room(self, coming: int) -> None:
        """Retire what needn't be kept until there is room.

        Raises:
            JournalFull: There isn't.
        """
        while short := self._room.shortage(self._segments.bytes_held, coming):
            if not self._segments.retire_oldest(self._releasable(), float("inf")):
                raise JournalFull(short)

    def _checkpoint(self, *, force: bool) -> None:
        """Sign the tree when it is due, and end a full segment; what fails is done later."""
        try:
            full = self._segments.tail_bytes >= self._bounds.segment_bytes
            behind = self._tree.size - self._signed_size
            due = behind >= self._bounds.checkpoint_records or (
                time.monotonic() - self._unsigned_since >= self._bounds.checkpoint_age_s)
            if behind and (due or full or force):
                self._book.add(sign_checkpoint(self._tree, int(self._now() * 1000), self._key))
                self._signed_size = self._tree.size
            if full:
                # Only behind its checkpoint: what follows must stand without the records before.
                self._segments.end()
            self._book.thin(self._segments.firsts)
            self.unsigned_why = ""
        except OSError as error:
            self.unsigned_why = f"a checkpoint can't be written: {error.strerror}"


def _settle(results: _Results) -> None:
    """Wake the loop once with all results."""

    def tell_all() -> None:
        """Tell each group, on the event loop."""
        for group, found in results:
            try:
                group.settled(found)
            except Exception:
                # Whoever else was written with it is told all the same.
                _LOG.exception("journal.settling_fault")

    with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
        results[0][0].loop.call_soon_threadsafe(tell_all)


def resolve(
    futures: "list[asyncio.Future[Receipt]]", found: Sequence[Receipt | JournalError]
) -> None:
    """Give each its receipt, or why there is none."""
    for future, result in zip(futures, found, strict=True):
        if future.done():
            continue
        if isinstance(result, Receipt):
            future.set_result(result)
        else:
            future.set_exception(result)
