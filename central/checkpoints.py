"""Counter-signing: the platform's word that a node's log says what it said before, and more.

- A checkpoint is compared with the records that the platform holds itself: its root must be theirs.
  So it is consistent with every one that was counter-signed before, and with no fork.
- What contradicts them is refused and kept: two signatures of the node over two histories prove
  that one of them was changed.
- Few are kept: the newest of each log, and one each `KEPT_EVERY` records to build proofs from.
- Proofs are built here as well, for whoever looks at a verification.
"""

import msgspec
from sqlalchemy import Select, func, select

from central.errors import Forbidden, Invalid, Unknown
from central.schema import JournalCheckpoint, JournalEntry, Node
from central.store import Transaction
from edge.hotpath.checkpoint import (
    CHECKPOINT_BYTES_MAX,
    Checkpoint,
    CheckpointAnswer,
    Countersignature,
    check_checkpoint,
    countersign,
)
from edge.hotpath.merkle import Branch, Frontier
from edge.hotpath.receipt import ReceiptFile, bare

KEPT_EVERY = 4_096
LEAVES_MAX = 1_000_000
"""Records hashed for one answer at most; nodes ask much oftener than that."""
REFUSED_KEPT_MAX = 16


def take_checkpoint(tx: Transaction, node: Node, data: bytes) -> CheckpointAnswer:
    """Counter-sign a node's checkpoint, or refuse it.

    Returns:
        How many records are held; without a counter-signature it was refused.

    Raises:
        Invalid: It isn't a checkpoint, or isn't signed.
        Forbidden: It is another node's log.
    """
    if len(data) > CHECKPOINT_BYTES_MAX:
        raise Invalid("the checkpoint is larger than its bound")
    try:
        point = msgspec.json.decode(data, type=Checkpoint)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Invalid("the checkpoint can't be read") from error
    if point.log != node.journal_log:
        raise Forbidden("this log isn't the node's")
    try:
        check_checkpoint(point, node.journal_log)
    except ValueError as error:
        raise Invalid(str(error)) from error
    held = _held(tx, point.log)
    if point.size > held:
        return CheckpointAnswer(held=held)
    branch = _branch(tx, point.log, point.size, point.size)
    if branch.root().hex() != point.root:
        _keep_refused(tx, node, point, data)
        return CheckpointAnswer(held=held)
    row = _row(tx, point.log, point.size)
    if row is not None:
        return CheckpointAnswer(held=held, countersignature=_said(row))
    said = countersign(point, tx.now_s * 1000, tx.keys.witness)
    _keep(tx, point, said)
    return CheckpointAnswer(held=held, countersignature=said)


def countersigned_sizes(tx: Transaction, logs: set[str]) -> dict[str, int]:
    """Give how many records of each log are counter-signed."""
    rows = tx.session.execute(
        select(JournalCheckpoint.log, func.max(JournalCheckpoint.size))
        .where(JournalCheckpoint.log.in_(logs), JournalCheckpoint.refused.is_(False))
        .group_by(JournalCheckpoint.log))
    return {row[0]: row[1] for row in rows}


def diverged_logs(tx: Transaction) -> set[str]:
    """Give the logs of which a checkpoint was refused."""
    return set(tx.session.scalars(
        select(JournalCheckpoint.log).where(JournalCheckpoint.refused.is_(True)).distinct()))


def prove(tx: Transaction, log: str, index: int) -> ReceiptFile:
    """Give the receipt of a record: its proof under a counter-signed checkpoint.

    Raises:
        Unknown: There is no such record, or no counter-signed checkpoint covers it yet.
    """
    row = tx.session.scalars(
        _counted(log).where(JournalCheckpoint.size > index).order_by(JournalCheckpoint.size)
        .limit(1)).first()
    if row is None:
        raise Unknown("no counter-signed checkpoint covers this record yet")
    branch = _branch(tx, log, index, row.size)
    leaf = tx.session.scalar(select(JournalEntry.leaf).where(
        JournalEntry.log == log, JournalEntry.index == index))
    assert leaf is not None, "a counter-signed checkpoint covers only what is held"
    point = msgspec.json.decode(row.body, type=Checkpoint)
    return ReceiptFile(
        log=log, index=index, leaf=leaf.hex(),
        proof=tuple(item.hex() for item in branch.inclusion(index, row.size)),
        checkpoint=bare(point), countersignature=_said(row))


def _branch(tx: Transaction, log: str, first: int, size: int) -> Branch:
    """Give the tree of `size` records, from the last kept checkpoint before `first` on."""
    row = tx.session.scalars(
        _counted(log).where(JournalCheckpoint.size <= first)
        .order_by(JournalCheckpoint.size.desc()).limit(1)).first()
    before = Frontier() if row is None else msgspec.json.decode(row.body, type=Checkpoint).tree()
    if size - before.size > LEAVES_MAX:
        raise Invalid(f"the checkpoint is more than {LEAVES_MAX} records ahead: send one before it")
    leaves = tx.session.scalars(
        select(JournalEntry.leaf).where(
            JournalEntry.log == log, JournalEntry.index >= before.size, JournalEntry.index < size)
        .order_by(JournalEntry.index)).all()
    return Branch(before, leaves)


def _keep(tx: Transaction, point: Checkpoint, said: Countersignature) -> None:
    """Keep a counter-signed checkpoint, and drop the one before where it isn't needed."""
    before = tx.session.scalars(
        _counted(point.log).where(JournalCheckpoint.size < point.size)
        .order_by(JournalCheckpoint.size.desc()).limit(2)).all()
    if before:
        base = before[1].size if len(before) > 1 else 0
        is_newest = tx.session.scalar(
            select(func.count()).select_from(JournalCheckpoint).where(
                JournalCheckpoint.log == point.log, JournalCheckpoint.refused.is_(False),
                JournalCheckpoint.size > point.size)) == 0
        if is_newest and before[0].size - base < KEPT_EVERY:
            tx.session.delete(before[0])
    tx.session.add(JournalCheckpoint(
        log=point.log, size=point.size, root=bytes.fromhex(point.root), refused=False,
        body=msgspec.json.encode(point), countersignature=msgspec.json.encode(said),
        at_s=tx.now_s))


def _keep_refused(tx: Transaction, node: Node, point: Checkpoint, data: bytes) -> None:
    """Keep a checkpoint that contradicts what is held: it is evidence, signed by the node."""
    root = bytes.fromhex(point.root)
    if tx.session.get(JournalCheckpoint, (point.log, point.size, root)) is not None:
        return
    kept = tx.session.scalar(select(func.count()).select_from(JournalCheckpoint).where(
        JournalCheckpoint.log == point.log, JournalCheckpoint.refused.is_(True)))
    if (kept or 0) >= REFUSED_KEPT_MAX:
        return
    tx.session.add(JournalCheckpoint(
        log=point.log, size=point.size, root=root, refused=True, body=data, countersignature=b"",
        at_s=tx.now_s))
    tx.act("journal.diverged", node.id,
           f"the checkpoint at size {point.size} isn't of the records held here",
           who=f"node {node.id}")


def _held(tx: Transaction, log: str) -> int:
    top = tx.session.scalar(select(func.max(JournalEntry.index)).where(JournalEntry.log == log))
    return 0 if top is None else top + 1


def _row(tx: Transaction, log: str, size: int) -> JournalCheckpoint | None:
    return tx.session.scalars(_counted(log).where(JournalCheckpoint.size == size)).first()


def _said(row: JournalCheckpoint) -> Countersignature:
    return msgspec.json.decode(row.countersignature, type=Countersignature)


def _counted(log: str) -> Select[JournalCheckpoint]:
    return select(JournalCheckpoint).where(
        JournalCheckpoint.log == log, JournalCheckpoint.refused.is_(False))
