"""The gallery's file: a header and its columns, mapped into memory.

- The map is address space, not disk: it begins at its bound, and disk is promised
  in chunks before a row is written, so a full disk is an error and never a fault.
- Columns: ids (hidden), rows, inverse norms, and two banks of codes with their factors and the
  mean that they were made with: one serves, the other is for making new codes aside.
- Rows are in stored space; nothing in the file is a holder's id or features that another site
  could compare.
- A file of another form, pack or size is begun anew: it can be made again from the store.
"""

import contextlib
import mmap
import os
import struct
import threading
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from edge.cache.gallery.kernels import FREE, Floats, Rows, Words
from edge.errors import StoreError

MAGIC = b"KHGALLERY/2\0\0\0\0\0"
HEADER_BYTES = 16_384
PAGE_BYTES = 4_096
WIDTH_MAX = 1_024
"""Longest row, in dimensions."""
ROWS_MAX = 1 << 22
CHUNK_ROWS = 4_096
"""Rows for which disk is promised at once."""
MARK_BYTES = 64
_Scalar = TypeVar("_Scalar", bound=np.generic)
_HEADER = struct.Struct("<16s64sIII")
"""Magic, pack, dimensions, slots in the map, slots in use."""
_USED_AT = _HEADER.size - 4
_MARK_AT, _CODED_AT, _ACTIVE_AT, _MEAN_AT = 128, 256, 260, 512
BANKS = 2


def padded(dimensions: int) -> int:
    """Give the length of a row as it is stored: whole words of signs."""
    return -(-dimensions // 128) * 128


class Bank(NamedTuple):
    """Codes of all rows, and the mean that they were made with."""

    factors: Floats
    bases: Floats
    codes: Words
    mean: Floats


class Layout:
    """One mapped file."""

    def __init__(self, path: Path, pack: str, dimensions: int, rows_max: int = ROWS_MAX) -> None:
        """Map the file, beginning it anew if it isn't of this pack and size.

        Raises:
            StoreError: It can't be opened or mapped.
        """
        self._path, self.dimensions = path, dimensions
        self.rows_max = -(-rows_max // CHUNK_ROWS) * CHUNK_ROWS
        width = padded(dimensions)
        if width > WIDTH_MAX or len(pack.encode()) > 64:
            raise StoreError(f"{path}: a gallery of rows of {dimensions} isn't possible")
        begins = _HEADER.pack(MAGIC, pack.encode().ljust(64, b"\0"), dimensions, self.rows_max, 0)
        words = width // 64
        # Bytes a row in each column; the codes are one column a word.
        self._columns = [16, width, 4] + ([4, 4] + [8] * words) * BANKS
        starts = [HEADER_BYTES]
        for each in self._columns:
            starts.append(starts[-1] + -(-each * self.rows_max // PAGE_BYTES) * PAGE_BYTES)
        self._starts = starts
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            found = os.pread(self._fd, _USED_AT, 0)
            if found != begins[:_USED_AT] or os.fstat(self._fd).st_size != starts[-1]:
                os.ftruncate(self._fd, 0)
                os.ftruncate(self._fd, starts[-1])
                os.posix_fallocate(self._fd, 0, HEADER_BYTES)
                os.pwrite(self._fd, begins, 0)
            self._map = mmap.mmap(self._fd, starts[-1])
        except OSError as error:
            raise StoreError(f"{path} can't be mapped: {error.strerror}") from error
        self.ids: Words = self._column(0, np.uint64).reshape(self.rows_max, 2)
        self.rows: Rows = self._column(1, np.int8).reshape(self.rows_max, width)
        self.inverses: Floats = self._column(2, np.float32)
        self.banks = tuple(self._bank(number, width) for number in range(BANKS))
        self._used = np.frombuffer(self._map, np.uint32, 1, _USED_AT)
        self._coded = np.frombuffer(self._map, np.uint32, 1, _CODED_AT)
        self._active = np.frombuffer(self._map, np.uint32, 1, _ACTIVE_AT)
        self._growing = threading.Lock()
        self._promised = self.used

    @property
    def used(self) -> int:
        """Slots that hold or held a row; those behind them were never written."""
        return int(self._used[0])

    @used.setter
    def used(self, value: int) -> None:
        self._used[0] = value

    @property
    def coded(self) -> int:
        """How many rows there were when the mean was taken."""
        return int(self._coded[0])

    @coded.setter
    def coded(self, value: int) -> None:
        self._coded[0] = value

    @property
    def active(self) -> int:
        """Which bank serves."""
        return int(self._active[0]) % BANKS

    @active.setter
    def active(self, value: int) -> None:
        self._active[0] = value

    @property
    def bytes_used(self) -> int:
        """Bytes of the map that hold rows or are promised to them."""
        return HEADER_BYTES + self._promised * sum(self._columns)

    @property
    def mark(self) -> bytes:
        """Name the state of the store that the rows are of; empty while they are of none."""
        return self._map[_MARK_AT : _MARK_AT + MARK_BYTES].rstrip(b"\0")

    @mark.setter
    def mark(self, value: bytes) -> None:
        assert len(value) <= MARK_BYTES
        self._map[_MARK_AT : _MARK_AT + MARK_BYTES] = value.ljust(MARK_BYTES, b"\0")

    def promise(self, slots: int) -> None:
        """Insist on disk for so many slots, and touch it, so that writing a row waits for nothing.

        Raises:
            StoreError: The gallery or the disk is full.
        """
        if slots <= self._promised:
            return
        if slots > self.rows_max:
            raise StoreError(f"{self._path} is full: {self.rows_max} references")
        with self._growing:
            begin = self._promised // CHUNK_ROWS * CHUNK_ROWS
            end = -(-slots // CHUNK_ROWS) * CHUNK_ROWS
            if slots <= self._promised:
                return
            try:
                for start, each in zip(self._starts, self._columns, strict=False):
                    os.posix_fallocate(self._fd, start + begin * each, (end - begin) * each)
            except OSError as error:
                raise StoreError(f"{self._path} can't grow: {error.strerror}") from error
            fresh = slice(self._promised, end)
            self.ids[fresh], self.rows[fresh], self.inverses[fresh] = 0, 0, 0.0
            for bank in self.banks:
                bank.factors[fresh], bank.bases[fresh], bank.codes[:, fresh] = 0.0, FREE, 0
            self._promised = end

    def promise_ahead(self) -> None:
        """Promise the next chunk before a row needs it; what hinders it is said when one does."""
        with contextlib.suppress(StoreError):
            self.promise(min(self.used + CHUNK_ROWS, self.rows_max))

    def flush(self) -> None:
        """Bring what was written to the disk."""
        self._map.flush()

    def close(self) -> None:
        """Let go of the file; the map ends with its last array."""
        os.close(self._fd)

    def _bank(self, number: int, width: int) -> Bank:
        words = width // 64
        first = 3 + number * (2 + words)
        return Bank(
            self._column(first, np.float32), self._column(first + 1, np.float32),
            np.frombuffer(self._map, np.uint64, words * self.rows_max,
                          self._starts[first + 2]).reshape(words, self.rows_max),
            np.frombuffer(self._map, np.float32, width, _MEAN_AT + number * 4 * WIDTH_MAX),
        )

    def _column(self, number: int, dtype: type[_Scalar]) -> npt.NDArray[_Scalar]:
        count = self._columns[number] * self.rows_max // np.dtype(dtype).itemsize
        return np.frombuffer(self._map, dtype, count, self._starts[number])
