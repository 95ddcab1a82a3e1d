"""Verifies a journal from its files alone: whole, unbroken, signed.

- What the central platform counter-signed must be of these records, too.
- Reads everything; needs no key but the public one that names the log, which may be
  given to be sure of it.
- Works on a copy and on a folder that a node is writing to: an unfinished tail behind the last
  whole record isn't damage.
"""

from pathlib import Path

import msgspec

from edge.audit.checkpoint import checked, read_checkpoints, read_countersigned
from edge.audit.segment import (
    check_header,
    segment_name,
    walk_frames,
    whole_frame_follows,
    written_bytes,
)
from edge.audit.segments import segment_firsts
from edge.errors import JournalError
from edge.hotpath.checkpoint import Checkpoint, log_id
from edge.hotpath.merkle import Frontier, hash_leaf
from edge.protocol.journal import decode_record


class JournalReport(msgspec.Struct, kw_only=True):
    """What was found.

    Attributes:
        first, size: Records held are `first … size-1`.
        root: Of the whole tree, hex.
        checkpoints: How many held.
        signed_size: Records under the last signed checkpoint.
        countersigned_size: Records under the counter-signed one.
        problems: Everything that isn't as it must be.
    """

    log: str = ""
    first: int = 0
    size: int = 0
    root: str = ""
    checkpoints: int = 0
    signed_size: int = 0
    countersigned_size: int = 0
    whole: bool = True
    unfinished_bytes: int = 0
    problems: list[str] = []


def verify_journal(
    folder: Path, public: bytes | None = None, witness: str = ""
) -> JournalReport:
    """Verify a journal folder.

    Args:
        folder: With segments and checkpoints.
        public: The node's Ed25519 public key, if the log must be this one's.
        witness: The platform's as hex, if what is counter-signed must be by this one.

    Raises:
        JournalError: There is no journal there to verify.
    """
    report = JournalReport(problems=[])
    firsts = segment_firsts(folder) if folder.is_dir() else []
    if not firsts:
        raise JournalError(f"{folder} holds no journal")
    try:
        _verify(folder, firsts, public, witness, report)
    except (JournalError, OSError) as error:
        report.problems.append(str(error))
    report.whole = not report.problems
    return report


def _verify(
    folder: Path, firsts: list[int], public: bytes | None, witness: str, report: JournalReport
) -> None:
    points = read_checkpoints(folder)
    if points:
        report.log = points[0].log
    elif public is not None:
        report.log = log_id(public)
    else:
        report.problems.append("no checkpoint is signed yet: stop the node cleanly, or wait")
    if public is not None and report.log != log_id(public):
        report.problems.append("the log isn't that of the given key")
    for point in points:
        checked(point, report.log)
    report.first = firsts[0]
    tree = _start(firsts[0], points)
    kept = read_countersigned(folder, report.log)
    if kept is not None:
        if witness and kept.countersignature.public != witness:
            report.problems.append("the counter-signature isn't by the given key")
        points.append(kept.checkpoint)
    signed = {point.size: point for point in points}
    for position, first in enumerate(firsts):
        if first != tree.size:
            raise JournalError(f"records {tree.size} to {first} are missing")
        last = position == len(firsts) - 1
        _walk(folder / segment_name(first), tree, signed, report, last=last)
    report.size, report.root = tree.size, tree.root().hex()
    if kept is not None and report.first <= kept.checkpoint.size <= tree.size:
        report.countersigned_size = kept.checkpoint.size
    beyond = [size for size in signed if size > tree.size]
    if beyond:
        report.problems.append(
            f"a checkpoint was signed at {max(beyond)} records, but only {tree.size} are here"
        )


def _start(first: int, points: list[Checkpoint]) -> Frontier:
    if first == 0:
        return Frontier()
    for point in points:
        if point.size == first:
            return point.tree()
    raise JournalError(f"the journal begins at record {first} without a checkpoint for it")


def _walk(
    path: Path, tree: Frontier, signed: dict[int, Checkpoint], report: JournalReport, *, last: bool
) -> None:
    data = path.read_bytes()
    check_header(data, path, report.log)
    for offset, record in walk_frames(data):
        if record is None:
            if not last or whole_frame_follows(data, offset):
                raise JournalError(f"{path} is damaged at byte {offset}")
            report.unfinished_bytes = max(0, written_bytes(data) - offset)
            return
        try:
            decode_record(record)
        except msgspec.MsgspecError as error:
            raise JournalError(f"{path}: record {tree.size} isn't a record known here") from error
        tree.append(hash_leaf(record))
        point = signed.get(tree.size)
        if point is not None:
            if point.root != tree.root().hex():
                raise JournalError(
                    f"{path}: the records up to {tree.size} aren't those that were signed"
                )
            report.checkpoints += 1
            report.signed_size = tree.size
