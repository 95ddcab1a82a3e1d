"""The journal's segments on disk: appending, reading, retiring.

- Reading goes on in a segment where the last reading left off.
- What fails to be written is cut off again before anything else is written.
- A segment is begun under a name of no segment, and gets its own once it can be written to: what
  is left of one that couldn't be begun is never taken for records, and nothing must remove it.
- Behind the tail lie bytes that begin no frame, written beforehand: a flush that needs no new
  blocks costs half. A clean stop and a segment's end take them away.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from edge.audit.checkpoint import write_all
from edge.audit.segment import (
    HEADER_BYTES,
    NO_FRAME,
    SUFFIX,
    pack_header,
    segment_name,
    walk_frames,
)
from edge.errors import JournalError

PROBE_BYTES = 64 * 1024
"""What must be writable before a disk that failed is believed again."""
FILL_BYTES = 512 * 1024
"""Bytes that are written beforehand; a small segment has no more than its own size."""
WRITE_BYTES_MAX = 256 * 1024
"""Bytes of one flush; more is written in several."""
NEXT = "next.part"
"""The segment that is being begun; nothing in it counts."""


class Segments:
    """The segment files of one journal."""

    def __init__(
        self, folder: Path, log: str, firsts: list[int], size: int, fill_bytes: int
    ) -> None:
        """Take up segments that were checked; begin one if there is none."""
        self._folder, self._log = folder, log
        self._firsts = firsts
        self._size = size
        self._resume: tuple[int, int, int] = (-1, 0, 0)
        self._fd = -1
        self._ragged, self._nameless = False, True
        self._fill_bytes, self._filled = fill_bytes, 0
        self._retiring = threading.Lock()
        self.tail_bytes = 0
        self._ended_bytes = {first: self._path(first).stat().st_size for first in firsts[:-1]}
        if firsts:
            self._fd = os.open(self._path(firsts[-1]), os.O_WRONLY)
            self.tail_bytes = os.lseek(self._fd, 0, os.SEEK_END)
            self._name_now()
        else:
            self.end()

    @property
    def bytes_held(self) -> int:
        """Bytes of all segments."""
        return sum(list(self._ended_bytes.values())) + self.tail_bytes

    @property
    def firsts(self) -> list[int]:
        """First record of each segment, ascending."""
        return list(self._firsts)

    def append(self, frames: bytes, records: int) -> None:
        """Write whole frames and flush them; on failure nothing of them stays.

        Raises:
            OSError: They aren't durable.
        """
        self._write(frames)
        self.tail_bytes += len(frames)
        self._size += records

    def probe(self) -> None:
        """Find out whether records could be written now.

        Raises:
            OSError: They couldn't.
        """
        self._write(NO_FRAME * PROBE_BYTES)
        self._ragged = True
        self._trim()

    def _write(self, data: bytes) -> None:
        """Write behind the tail and flush; on failure cut off what there is of it."""
        self._trim()
        self._have_name()
        try:
            for first in range(0, len(data), WRITE_BYTES_MAX):
                piece = data[first : first + WRITE_BYTES_MAX]
                at = self.tail_bytes + first
                write_all(self._fd, piece, at)
                if at + len(piece) > self._filled:
                    self._fill(at + len(piece))
                os.fdatasync(self._fd)
        except OSError:
            self._ragged = True
            self._trim()
            raise

    def _fill(self, end: int) -> None:
        """Have blocks behind `end` that the next writes need; without them they are slower."""
        self._filled = end
        with contextlib.suppress(OSError):
            write_all(self._fd, NO_FRAME * self._fill_bytes, end)
            self._filled = end + self._fill_bytes

    def _trim(self) -> None:
        """Cut off what isn't ours behind the tail, if there is any."""
        if self._ragged:
            self._cut()

    def _cut(self) -> None:
        """Have the file end at the tail."""
        os.ftruncate(self._fd, self.tail_bytes)
        self._filled, self._ragged = self.tail_bytes, False

    def _have_name(self) -> None:
        """Make the segment's name durable, if it may not be: no record in it is before."""
        if self._nameless:
            sync_folder(self._folder)
            self._nameless = False

    def _name_now(self) -> None:
        """Make it durable before anybody waits for it; the next write insists on it."""
        with contextlib.suppress(OSError):
            self._have_name()

    def end(self) -> None:
        """End the segment and begin the next; on failure the old one goes on.

        Raises:
            OSError: The next can't be made.
        """
        if self._fd >= 0:
            # Also what was only begun to be written beforehand, or cut off by a recovery: behind
            # its last record an ended segment holds nothing, and that is durable before the next.
            self._cut()
            os.fsync(self._fd)
        path = self._folder / NEXT
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_all(fd, pack_header(self._log, self._size), 0)
            os.fsync(fd)
            # The old one can't go on from here: what begins here would be found in its middle.
            path.replace(self._path(self._size))
        except OSError:
            os.close(fd)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        with self._retiring:
            if self._firsts:
                self._ended_bytes[self._firsts[-1]] = self.tail_bytes
            self._firsts.append(self._size)
            self._fd, self.tail_bytes = fd, HEADER_BYTES
            self._filled, self._nameless = HEADER_BYTES, True
        self._name_now()

    def records(self, first: int, end: int) -> Iterator[bytes]:
        """Walk through records `first … end-1`.

        Raises:
            JournalError: One is damaged, can't be read or was retired.
        """
        if first >= end:
            return
        # A copy: the writer may retire some meanwhile.
        firsts = self.firsts
        if first < firsts[0]:
            raise JournalError(f"records before {firsts[0]} were retired")
        start = max(item for item in firsts if item <= first)
        for segment in [item for item in firsts if item >= start]:
            yield from self._records_of(segment, first, end)

    def _records_of(self, segment: int, first: int, end: int) -> Iterator[bytes]:
        path = self._path(segment)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise JournalError(f"records before {self.firsts[0]} were retired") from error
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from error
        resumed, index, at = self._resume
        if resumed != segment or index > first:
            index, at = segment, 0
        for offset, record in walk_frames(data) if at == 0 else _walk_from(data, at):
            if index >= end:
                self._resume = (segment, index, offset)
                return
            if record is None:
                raise JournalError(f"{path} is damaged at byte {offset}")
            if index >= first:
                self._resume = (segment, index, offset)
                yield record
            index += 1

    def bytes_from(self, first: int) -> int:
        """Give about how many bytes the records from one on take: exact by segments."""
        total, firsts = 0.0, self.firsts
        for start, end in zip(firsts, [*firsts[1:], self._size], strict=True):
            if end > first and end > start:
                size = self._ended_bytes.get(start, self.tail_bytes)
                total += size * (end - max(start, first)) / (end - start)
        return int(total)

    def first_since(self, at_s: float) -> int:
        """Give the first record of the oldest segment written to since a time."""
        for first in self._firsts:
            if self._path(first).stat().st_mtime >= at_s:
                return first
        return self._size

    def retire(self, held: int, older_than_s: float) -> None:
        """Remove ended segments before record `held` that are old enough.

        Raises:
            OSError: One can't be removed.
        """
        while self.retire_oldest(held, older_than_s):
            pass

    def retire_oldest(self, held: int, older_than_s: float) -> bool:
        """Remove the oldest segment if it ended before record `held` and is old enough.

        Raises:
            OSError: It can't be removed.
        """
        with self._retiring:
            if len(self._firsts) < 2 or self._firsts[1] > held:
                return False
            path = self._path(self._firsts[0])
            if path.stat().st_mtime > older_than_s:
                return False
            path.unlink()
            del self._ended_bytes[self._firsts.pop(0)]
            return True

    def close(self) -> None:
        """Close the file being written, without what was written beforehand."""
        with contextlib.suppress(OSError):
            self._cut()
        os.close(self._fd)

    def _path(self, first: int) -> Path:
        return self._folder / segment_name(first)


def _walk_from(data: bytes, at: int) -> Iterator[tuple[int, bytes | None]]:
    shift = at - HEADER_BYTES
    for offset, record in walk_frames(data[shift:]):
        yield offset + shift, record


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable.

    Raises:
        OSError: They aren't.
    """
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def segment_firsts(folder: Path) -> list[int]:
    """List the first indices of the segments in a folder, ascending."""
    return sorted(int(path.name.removesuffix(SUFFIX)) for path in folder.glob(f"*{SUFFIX}"))
