"""What was spent in some steps: entries in a file mapping, found through memory.

- The mapping survives the process: an entry counts once the count before it covers it, so a
  process that is killed in between has spent nothing that it answered for.
- Every block of the file is there before it is written: a mapped write that finds none ends the
  process.
- One process owns a file. Not here: what makes an entry forbid another one.
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

KEY_BYTES, ENTRY_BYTES = 16, 24
_ROW_BYTES = KEY_BYTES + ENTRY_BYTES
_HEAD_BYTES = 64
ROWS_MIN = 4_096
"""Rows of a new file; it doubles when it is full."""
CHUNK_ROWS = 4_096
_SHARDS = 256
"""Dictionaries by a key's first byte: one that grows is copied, and nobody may wait for long."""


class SpentTable:
    """Entries by key; a key's later entry takes the place of its earlier one.

    Attributes:
        found: The entry of a key, by the key's first byte and then the key.
    """

    def __init__(self, path: Path, rows_max: int) -> None:
        """Open or make the file and read what it counts.

        Raises:
            OSError: It can't be opened, or there is no room.
            ValueError: It is shorter than what it counts.
        """
        self._rows_max, self._rows = rows_max, 0
        self.found: list[dict[bytes, bytes]] = [{} for _ in range(_SHARDS)]
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            held = (os.fstat(self._fd).st_size - _HEAD_BYTES) // _ROW_BYTES
            self._map(max(held, min(ROWS_MIN, rows_max)))
            self._count = self._head[0]
            if self._count > self._rows:
                raise ValueError(f"{path} is shorter than the {self._count} entries that it counts")
            for chunk in self.chunks():
                for key, entry in chunk:
                    self.found[key[0]][key] = entry
        except BaseException:
            if self._rows:
                self._unmap()
            os.close(self._fd)
            raise

    def reserve(self, rows: int) -> None:
        """Have room for so many more; for these `add` can't fail.

        Raises:
            OSError: There is none on the disk.
            OverflowError: The bound is reached.
        """
        needed = self._count + rows
        if needed <= self._rows:
            return
        if needed > self._rows_max:
            raise OverflowError(f"it holds {self._count} entries, and {self._rows_max} at most")
        self._map(min(self._rows_max, max(needed, self._rows * 2)))

    def add(self, key: bytes, entry: bytes) -> None:
        """Add a row for which room was reserved."""
        at = _HEAD_BYTES + self._count * _ROW_BYTES
        self._mapped[at : at + _ROW_BYTES] = key + entry
        self._count += 1
        # One aligned word: whoever reads it finds the old count or the new one.
        self._head[0] = self._count
        self.found[key[0]][key] = entry

    def clear(self) -> None:
        """Forget every row."""
        self._count = self._head[0] = 0
        self.found = [{} for _ in range(_SHARDS)]

    def chunks(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """Read the rows from the file, piece by piece; for any thread.

        What is added meanwhile may be missing.
        """
        count = self._count
        for first in range(0, count, CHUNK_ROWS):
            rows = min(CHUNK_ROWS, count - first)
            data = os.pread(self._fd, rows * _ROW_BYTES, _HEAD_BYTES + first * _ROW_BYTES)
            yield [(data[at : at + KEY_BYTES], data[at + KEY_BYTES : at + _ROW_BYTES])
                   for at in range(0, len(data), _ROW_BYTES)]

    def close(self) -> None:
        """Write the mapping to the disk and let go of the file."""
        self._mapped.flush()
        self._unmap()
        os.close(self._fd)

    def _map(self, rows: int) -> None:
        """Have the file as large as `rows`, in blocks, and map it."""
        size = _HEAD_BYTES + rows * _ROW_BYTES
        os.posix_fallocate(self._fd, 0, size)
        mapped = mmap.mmap(self._fd, size)
        if self._rows:
            self._unmap()
        self._mapped, self._rows = mapped, rows
        self._head = memoryview(mapped)[:8].cast("Q")

    def _unmap(self) -> None:
        self._head.release()
        self._mapped.close()
