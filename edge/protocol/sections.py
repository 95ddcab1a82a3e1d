"""Reads the sections of a bundle or a journal file, within bounds and never whole.

- A file that is cut off, too large, of another kind or goes on behind its end is a fault, in words
  that say so.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from edge.protocol.bundle import (
    END,
    FILE_BYTES_MAX,
    MAGIC_BYTES,
    SECTION_BYTES_MAX,
    SECTION_HEAD,
    SECTIONS_MAX,
)


class SectionFault(ValueError):
    """A file that isn't what it should be; the message is for whoever brought it."""


def read_sections(
    file: BinaryIO, magic: bytes, what: str, hear: Callable[[bytes], object] = lambda _: None
) -> Iterator[tuple[bytes, bytes]]:
    """Walk through kind and payload of every section, `END` being the last.

    Args:
        file: Open at its beginning.
        magic: What it has to begin with.
        what: The file in a word, for faults.
        hear: Is given all bytes before the payload of `END`, in order.

    Raises:
        SectionFault: It isn't one, is cut off, or is beyond a bound.
    """
    found = file.read(MAGIC_BYTES)
    if found != magic:
        raise SectionFault(f"this is no {what}")
    hear(found)
    total = 0
    for _ in range(SECTIONS_MAX):
        head = _read(file, SECTION_HEAD.size, what)
        kind, size = SECTION_HEAD.unpack(head)
        total += size
        if size > SECTION_BYTES_MAX or total > FILE_BYTES_MAX:
            raise SectionFault(f"the {what} is larger than any may be: {size} bytes in a section")
        payload = _read(file, size, what)
        hear(head)
        if kind == END:
            if file.read(1):
                raise SectionFault(f"the {what} goes on behind its end: it was altered")
            yield kind, payload
            return
        hear(payload)
        yield kind, payload
    raise SectionFault(f"the {what} has more sections than any may have")


def _read(file: BinaryIO, size: int, what: str) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise SectionFault(f"the {what} is cut off: copy it again, whole")
    return data
