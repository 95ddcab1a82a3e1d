"""Proofs from a journal's folder: is this record in the log that was signed.

- The checkpoint taken is the one the central platform counter-signed if it covers the record, else
  the newest that the node signed.
- Reads only from the record's own segment on: what came before is in its checkpoint's frontier.
- Works on a copy, and on a folder that a node is writing to.
"""

from pathlib import Path

from edge.audit.checkpoint import checked, read_checkpoints, read_countersigned
from edge.audit.segment import check_header, segment_name, walk_frames
from edge.audit.segments import segment_firsts
from edge.errors import JournalError
from edge.hotpath.checkpoint import Checkpoint
from edge.hotpath.merkle import Branch, Frontier, hash_leaf
from edge.hotpath.receipt import ReceiptFile, bare


def prove_record(folder: Path, index: int, *, with_record: bool = False) -> ReceiptFile:
    """Build the receipt file of a record.

    Args:
        folder: With segments and checkpoints.
        index: Of the record.
        with_record: Whether the record itself goes into the file, or only its hash.

    Raises:
        JournalError: The record isn't there, no checkpoint covers it yet, or the folder is
            damaged.
    """
    points = read_checkpoints(folder)
    if not points:
        raise JournalError(f"{folder} holds no checkpoint yet: wait, or stop the node cleanly")
    log = points[-1].log
    kept = read_countersigned(folder, log)
    covering = [point for point in points if point.size > index and point.log == log]
    point, said = (kept.checkpoint, kept.countersignature) if (
        kept is not None and kept.checkpoint.size > index
    ) else (covering[-1] if covering else None, None)
    if point is None:
        raise JournalError(
            f"no checkpoint covers record {index} yet (the newest is at {points[-1].size}): wait, "
            "or stop the node cleanly")
    checked(point, log)
    branch, record = _branch(folder, log, index, point.size, points)
    if branch.size < point.size or branch.root().hex() != point.root:
        raise JournalError(
            f"{folder}: the records aren't those of the checkpoint at size {point.size}")
    return ReceiptFile(
        log=log, index=index, leaf=hash_leaf(record).hex(),
        proof=tuple(item.hex() for item in branch.inclusion(index, point.size)),
        checkpoint=bare(point), countersignature=said, record=record if with_record else None)


def _branch(
    folder: Path, log: str, index: int, size: int, points: list[Checkpoint]
) -> tuple[Branch, bytes]:
    """Give the tree of `size` records from the segment of one on, and that record."""
    firsts = segment_firsts(folder)
    if not firsts or index < firsts[0]:
        raise JournalError(
            f"record {index} isn't in {folder} any more: the central platform holds it")
    start = max(first for first in firsts if first <= index)
    before = _frontier(folder, log, start, points)
    leaves: list[bytes] = []
    found = b""
    for first in firsts:
        if not start <= first < size:
            continue
        path = folder / segment_name(first)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from error
        check_header(data, path, log)
        for _, record in walk_frames(data):
            if record is None or start + len(leaves) >= size:
                break
            if start + len(leaves) == index:
                found = record
            leaves.append(hash_leaf(record))
    return Branch(before, leaves), found


def _frontier(folder: Path, log: str, first: int, points: list[Checkpoint]) -> Frontier:
    if first == 0:
        return Frontier()
    for point in points:
        if point.size == first:
            return checked(point, log).tree()
    raise JournalError(f"{folder}: the segment of record {first} has no checkpoint")
