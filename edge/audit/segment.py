"""The journal's files: a header, then frames of records.

- Header (64 bytes): magic, format, log id, index of the first record, CRC-32.
- Frame: length and CRC-32 of the payload (big-endian u32 each), then the payload.
- A torn tail is what a kill or a power loss leaves; damage before the tail is an error.
- The format is documented in `docs/journal-format.md`.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from edge.errors import JournalError
from edge.protocol.journal import RECORD_BYTES_MAX

MAGIC = b"KANHEJ\r\n"
FORMAT = 1
_HEADER = struct.Struct(">8sH32sQ10x")
HEADER_BYTES = _HEADER.size + 4
_FRAME = struct.Struct(">II")
FRAME_BYTES = _FRAME.size
SUFFIX = ".journal"
NO_FRAME = b"\xff"
"""Begins no frame (it would be longer than any record), so a kill leaves a torn tail."""


def segment_name(first: int) -> str:
    """Give the file name of the segment that begins with a record."""
    return f"{first:016d}{SUFFIX}"


def pack_header(log: str, first: int) -> bytes:
    """Give a segment's header."""
    head = _HEADER.pack(MAGIC, FORMAT, log.encode("ascii"), first)
    return head + struct.pack(">I", zlib.crc32(head))


def pack_frame(record: bytes) -> bytes:
    """Give one record's frame."""
    return _FRAME.pack(len(record), zlib.crc32(record)) + record


def check_header(data: bytes, path: Path, log: str) -> int:
    """Check a segment's header and give the index of its first record.

    Raises:
        JournalError: It isn't a segment of this log.
    """
    if len(data) < HEADER_BYTES:
        raise JournalError(f"{path} is shorter than a journal segment's header")
    magic, version, name, first = _HEADER.unpack_from(data)
    (crc,) = struct.unpack_from(">I", data, _HEADER.size)
    if magic != MAGIC or crc != zlib.crc32(data[: _HEADER.size]):
        raise JournalError(f"{path} has a damaged header: restore the file from a backup")
    if version != FORMAT:
        raise JournalError(f"{path} is of journal format {version}; this program reads {FORMAT}")
    if name.decode("ascii", "replace") != log:
        raise JournalError(f"{path} belongs to another node's log")
    return int(first)


def walk_frames(data: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Walk through a segment's frames.

    Yields:
        (offset of the frame, record); at the first frame that isn't whole (offset, None), and
        nothing after it.
    """
    at, end = HEADER_BYTES, len(data)
    while at < end:
        if at + FRAME_BYTES > end:
            yield at, None
            return
        length, crc = _FRAME.unpack_from(data, at)
        start = at + FRAME_BYTES
        record = data[start : start + length]
        # An empty one would be what a disk gives for a block that was never written.
        if (length == 0 or length > RECORD_BYTES_MAX or len(record) < length
                or zlib.crc32(record) != crc):
            yield at, None
            return
        yield at, record
        at = start + length


def written_bytes(data: bytes) -> int:
    """Give where what was written beforehand begins at the latest; no frame begins behind it."""
    return len(data.rstrip(NO_FRAME))


def whole_frame_follows(data: bytes, at: int) -> bool:
    """Tell whether a whole, non-empty frame begins anywhere behind `at`.

    A torn tail has none: writes go to the end, so what follows damage in the middle is whole.
    """
    for start in range(at + 1, min(len(data) - FRAME_BYTES, written_bytes(data))):
        length, crc = _FRAME.unpack_from(data, start)
        if 0 < length <= min(RECORD_BYTES_MAX, len(data) - start - FRAME_BYTES):
            body = data[start + FRAME_BYTES : start + FRAME_BYTES + length]
            if zlib.crc32(body) == crc:
                return True
    return False
