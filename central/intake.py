"""Journal intake: every node's records, each once, exactly as they were.

- Records that are held already are compared, not doubled; a gap or another content is
  refused with the index that comes next.
- What a record is looked for by is cut to what a column takes: a node's odd text stays in the
  record, and never holds up its journal.
- An upload that isn't readable is refused whole: nothing is lost, the node still has it.
"""

import msgspec
from sqlalchemy import func, select

from central.errors import Forbidden, Invalid
from central.schema import JournalEntry, Node
from central.store import Transaction, storable
from edge.hotpath.merkle import hash_leaf
from edge.protocol.journal import (
    RECORD_BYTES_MAX,
    UPLOAD_RECORDS_MAX,
    JournalRecord,
    JournalUpload,
    VerificationRecord,
    decode_record,
)

AT_MS_MAX = 2**62


class Taken(msgspec.Struct, frozen=True):
    """Index of the next record, whether the upload was refused, and what of it is new."""

    next: int
    conflict: bool
    fresh: list[JournalRecord] = []


def take_in(tx: Transaction, node: Node, data: bytes) -> Taken:
    """Take in an upload.

    Raises:
        Invalid: It isn't one.
        Forbidden: It is another node's log.
    """
    try:
        upload = msgspec.msgpack.decode(data, type=JournalUpload)
        records = [decode_record(record) for record in upload.records]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("the upload can't be read") from error
    if upload.log != node.journal_log:
        raise Forbidden("this log isn't the node's")
    if len(upload.records) > UPLOAD_RECORDS_MAX or any(
        len(record) > RECORD_BYTES_MAX for record in upload.records
    ):
        raise Invalid("the upload is larger than its bounds")
    held = _next(tx, upload.log)
    if upload.first > held:
        return Taken(held, conflict=True)
    rows = tx.session.execute(
        select(JournalEntry.index, JournalEntry.record).where(
            JournalEntry.log == upload.log, JournalEntry.index >= upload.first,
            JournalEntry.index < upload.first + len(upload.records),
        )
    )
    known: dict[int, bytes] = {row[0]: row[1] for row in rows}
    fresh: list[JournalRecord] = []
    for index, record in enumerate(upload.records, upload.first):
        if index < held:
            if known.get(index) != record:
                return Taken(held, conflict=True)
            continue
        decoded = records[index - upload.first]
        tx.session.add(_entry(tx, upload.log, index, record, decoded))
        fresh.append(decoded)
        held = index + 1
    return Taken(held, conflict=False, fresh=fresh)


def list_journal(tx: Transaction, after: int, limit: int) -> list[dict[str, object]]:
    """Give records in the order of their taking in, as plain values without secrets."""
    rows = tx.session.scalars(
        select(JournalEntry).order_by(JournalEntry.taken_s, JournalEntry.log, JournalEntry.index)
        .offset(after).limit(limit)
    )
    return [_shown(row) for row in rows]


def _entry(
    tx: Transaction, log: str, index: int, data: bytes, record: JournalRecord
) -> JournalEntry:
    row = JournalEntry(
        log=log, index=index, leaf=hash_leaf(data), record=data, taken_s=tx.now_s,
        at_ms=max(0, min(record.at_ms, AT_MS_MAX)), decision="", reason="",
        scene="", gate_id="", verification_id="", credential_id=None,
    )
    if isinstance(record, VerificationRecord):
        row.decision, row.reason = storable(record.decision, 16), storable(record.reason, 32)
        row.scene, row.gate_id = storable(record.scene, 64), storable(record.gate_id, 32)
        row.verification_id = storable(record.verification_id, 32)
        row.credential_id = record.credential_id
    else:
        row.reason = storable(record.event, 32)
    return row


def _next(tx: Transaction, log: str) -> int:
    top = tx.session.scalar(
        select(func.max(JournalEntry.index)).where(JournalEntry.log == log)
    )
    return 0 if top is None else top + 1


def _shown(row: JournalEntry) -> dict[str, object]:
    record = decode_record(row.record)
    shown: dict[str, object] = {
        "log": row.log, "index": row.index, "leaf": row.leaf.hex(), "taken_s": row.taken_s,
        "at_ms": record.at_ms,
    }
    if isinstance(record, VerificationRecord):
        shown |= {
            "verification_id": record.verification_id, "kind": record.kind,
            "gate_id": record.gate_id, "scene": record.scene, "decision": record.decision,
            "reason": record.reason, "mode": record.evidence.mode,
        }
    else:
        shown |= {"event": record.event}
    return shown
