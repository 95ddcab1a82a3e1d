"""Walks through a journal's folder from its files alone, one segment in memory at a time.

- For reading, on a copy or beside a running node; nothing is locked, written or proved.
- Not here: is it whole and signed (edge.audit.verify).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from edge.audit.segment import check_header, segment_name, walk_frames
from edge.audit.segments import segment_firsts
from edge.errors import JournalError

_LOG = slice(10, 42)
"""Where a segment's header names its log."""


def walk_journal(
    folder: Path, since_s: float, progress: Callable[[int, int], None]
) -> Iterator[tuple[str, bytes]]:
    """Give log and record of a journal, in their order.

    Args:
        folder: With its segments.
        since_s: Segments that were written before (Unix seconds) are passed over.
        progress: Hears of bytes read and bytes in all, after each segment.

    Raises:
        JournalError: There is no journal, or it is damaged before its end.
    """
    try:
        paths = [folder / segment_name(first) for first in segment_firsts(folder)]
        stats = [path.stat() for path in paths]
    except OSError as error:
        raise JournalError(f"{folder}: {error.strerror}") from error
    if not paths:
        raise JournalError(f"{folder} holds no journal")
    done, total = 0, sum(stat.st_size for stat in stats)
    for path, stat in zip(paths, stats, strict=True):
        if stat.st_mtime >= since_s:
            yield from _walk_segment(path, last=path == paths[-1])
        done += stat.st_size
        progress(done, total)


def _walk_segment(path: Path, *, last: bool) -> Iterator[tuple[str, bytes]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from error
    log = data[_LOG].decode("ascii", "replace")
    check_header(data, path, log)
    for offset, record in walk_frames(data):
        if record is None:
            if not last:
                raise JournalError(f"{path} is damaged at byte {offset}")
            return
        yield log, record
