"""Taking a journal up at start: its end is found, checked, and made whole.

- Only what follows the last good checkpoint is read; a torn tail is cut off.
- Damage before the tail names its file and leaves everything as it is.
- After a power loss the pages of the last write may be there in part and out of order. Only then,
  and only within the reach of one write, whole frames behind a damaged one don't mean damage.
"""

import contextlib
import os
from pathlib import Path

from edge.audit.checkpoint import checked, read_checkpoints
from edge.audit.segment import (
    HEADER_BYTES,
    NO_FRAME,
    check_header,
    pack_header,
    segment_name,
    walk_frames,
    whole_frame_follows,
)
from edge.audit.segments import FILL_BYTES, WRITE_BYTES_MAX, Segments, segment_firsts
from edge.errors import JournalError
from edge.files import write_file
from edge.hotpath.merkle import Frontier, hash_leaf
from edge.protocol.journal import RECORD_BYTES_MAX

BOOT = "boot"
"""Names the machine's run in which the journal was last opened."""
_TORN_BYTES_MAX = WRITE_BYTES_MAX + RECORD_BYTES_MAX
"""How far behind its first damaged frame a write that a power loss cut off may reach."""


def recover(
    folder: Path, log: str, *, fill_bytes: int = FILL_BYTES, boot_id: bytes = b""
) -> tuple[Segments, Frontier]:
    """Check the end of the journal and take it up.

    Args:
        folder: Where it lies.
        log: Whose it is.
        fill_bytes: Bytes to have written beforehand.
        boot_id: Of the machine since it was started. Where it is the one of the last opening, no
            power was lost since; empty = it may have been.

    Returns:
        The segments and the tree up to the last whole record.

    Raises:
        JournalError: Damage before the tail, a gap, or a checkpoint that doesn't hold.
    """
    boot = folder / BOOT
    rebooted = not (boot_id and boot.exists() and boot.read_bytes() == boot_id)
    found = _recover(folder, log, fill_bytes, _TORN_BYTES_MAX if rebooted else 0)
    if rebooted:
        # Last, so that whoever is killed before starts with the same doubts. Without it, too.
        with contextlib.suppress(OSError):
            write_file(boot, boot_id)
    return found


def _recover(
    folder: Path, log: str, fill_bytes: int, torn_bytes: int
) -> tuple[Segments, Frontier]:
    firsts = segment_firsts(folder)
    known = [point for point in read_checkpoints(folder) if point.log == log]
    base = firsts[0] if firsts else 0
    if not firsts:
        if known:
            raise JournalError(f"{folder} has checkpoints but no segments: restore them")
        return Segments(folder, log, [], 0, fill_bytes), Frontier()
    usable = [point for point in known if point.size >= base]
    tree = Frontier()
    if usable and (usable[-1].size > 0):
        tree = checked(usable[-1], log).tree()
    elif base > 0:
        raise JournalError(f"{folder} begins at record {base} without a checkpoint for it")
    start = max((item for item in firsts if item <= tree.size), default=base)
    index = start
    for position, first in enumerate(firsts):
        if first < start:
            continue
        last = position == len(firsts) - 1
        index = _recover_segment(
            folder / segment_name(first), log, first, tree, torn_bytes if last else None)
        if not last and firsts[position + 1] != index:
            raise JournalError(f"{folder}: records {index} to {firsts[position + 1]} are missing")
    if index < tree.size:
        raise JournalError(
            f"{folder} ends at record {index}, but a signed checkpoint says {tree.size}: restore "
            "the segments from a backup or from the central platform"
        )
    return Segments(folder, log, firsts, tree.size, fill_bytes), tree


def _recover_segment(
    path: Path, log: str, first: int, tree: Frontier, torn_bytes: int | None
) -> int:
    """Add a segment's records to the tree; cut off a torn tail; give the next index.

    In `torn_bytes` behind the first damaged frame there may be whole ones of the same write; None:
    there may be no damaged frame.
    """
    data = path.read_bytes()
    if torn_bytes is not None and len(data) < HEADER_BYTES:
        path.write_bytes(pack_header(log, first))
        return first
    if check_header(data, path, log) != first:
        raise JournalError(f"{path} isn't the segment that its name says")
    index = first
    for offset, record in walk_frames(data):
        if record is None:
            if torn_bytes is None or _is_damaged(data, offset, torn_bytes):
                raise JournalError(
                    f"{path} is damaged at byte {offset}, before its end: restore the file from a "
                    "backup; records before it are whole"
                )
            # What a checkpoint covers was durable: whoever called says that it isn't there.
            if index >= tree.size:
                os.truncate(path, offset)
            break
        if index >= tree.size:
            tree.append(hash_leaf(record))
        index += 1
    return index


def _is_damaged(data: bytes, offset: int, torn_bytes: int) -> bool:
    """Tell damage at `offset` from a torn tail.

    Only a journal that wasn't stopped cleanly ends in what was written beforehand; without that,
    or beyond the reach of one write, what follows damage must not be whole.
    """
    reach = torn_bytes if data.endswith(NO_FRAME) else 0
    return whole_frame_follows(data, offset + reach)
