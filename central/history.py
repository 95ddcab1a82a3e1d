"""The journal as people look at it: filtered lists, one verification followed, receipts.

- Lists go from the newest back by (time, log, index), page by page without counting, so that a
  journal of millions is as quick as one of ten.
- A holder sees where and when own credentials were verified, and with what result.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select

from central.errors import Invalid, Unknown
from central.schema import Credential, Gate, JournalEntry
from central.store import Transaction
from edge.protocol.journal import EventRecord, VerificationRecord, decode_record
from edge.protocol.records import GateRecord

PAGE_ROWS = 50
DIGITS_MAX = 18
"""Of a number that every database takes."""
FILTERS = ("decision", "reason", "scene", "gate_id", "verification_id")


class JournalRow(msgspec.Struct, frozen=True, kw_only=True):
    """One record in a list; `detail` holds what an event says."""

    log: str
    index: int
    leaf: str
    at_ms: int
    taken_s: int
    kind: str
    gate_id: str
    gate: str
    scene: str
    decision: str
    reason: str
    verification_id: str
    credential_id: str
    credential_type: str
    actor: str
    note: str
    mode: str
    detail: dict[str, str | int | float]


class JournalPage(msgspec.Struct, frozen=True):
    """A page of the journal; `older` continues it, empty at its end."""

    rows: list[JournalRow]
    older: str


def journal_page(tx: Transaction, filters: dict[str, str], before: str) -> JournalPage:
    """Give a page of records, the newest first.

    Args:
        tx: The transaction.
        filters: By the names of `FILTERS`, and `credential_id` as hex.
        before: Where the last page ended, empty for the newest.

    Raises:
        Invalid: `before` is no place.
    """
    wheres: list[ColumnElement[bool]] = [
        getattr(JournalEntry, name) == value
        for name, value in filters.items() if name in FILTERS and value
    ]
    if filters.get("credential_id"):
        wheres.append(JournalEntry.credential_id == _hex(filters["credential_id"]))
    return _page(tx, wheres, before, PAGE_ROWS)


def one_verification(tx: Transaction, verification_id: str) -> list[JournalRow]:
    """Give every record of one verification, in the order they were made.

    Raises:
        Unknown: There is none.
    """
    rows = tx.session.scalars(
        select(JournalEntry).where(JournalEntry.verification_id == verification_id)
        .order_by(JournalEntry.at_ms, JournalEntry.index).limit(PAGE_ROWS)).all()
    if not rows or not verification_id:
        raise Unknown("the journal has no such verification (yet)")
    return _shown(tx, rows)


def of_holder(tx: Transaction, holder_id: bytes, before: str, limit: int) -> JournalPage:
    """Give a page of the verifications of a holder's credentials, the newest first."""
    ids = select(Credential.id).where(Credential.holder_id == holder_id)
    return _page(tx, [JournalEntry.credential_id.in_(ids)], before, limit)


def _page(
    tx: Transaction, wheres: Sequence[ColumnElement[bool]], before: str, limit: int
) -> JournalPage:
    query = select(JournalEntry).where(*wheres)
    if before:
        at_ms, log, index = _place(before)
        # The bound by itself lets a database begin inside its index.
        query = query.where(JournalEntry.at_ms <= at_ms, or_(
            JournalEntry.at_ms < at_ms,
            and_(JournalEntry.at_ms == at_ms, JournalEntry.log < log),
            and_(JournalEntry.at_ms == at_ms, JournalEntry.log == log,
                 JournalEntry.index < index),
        ))
    rows = tx.session.scalars(query.order_by(
        JournalEntry.at_ms.desc(), JournalEntry.log.desc(), JournalEntry.index.desc(),
    ).limit(limit + 1)).all()
    more = rows[limit - 1] if len(rows) > limit else None
    older = f"{more.at_ms}.{more.log}.{more.index}" if more is not None else ""
    return JournalPage(_shown(tx, rows[:limit]), older)


def _shown(tx: Transaction, rows: Sequence[JournalEntry]) -> list[JournalRow]:
    labels = {
        row.id: msgspec.msgpack.decode(row.body, type=GateRecord).label
        for row in tx.session.scalars(
            select(Gate).where(Gate.id.in_({row.gate_id for row in rows})))
    }
    return [_row(row, labels.get(row.gate_id, "")) for row in rows]


def _row(row: JournalEntry, gate: str) -> JournalRow:
    record = decode_record(row.record)
    common = {"log": row.log, "index": row.index, "leaf": row.leaf.hex(), "at_ms": row.at_ms,
              "taken_s": row.taken_s, "gate": gate}
    if isinstance(record, EventRecord):
        return msgspec.convert(common | {
            "kind": "event", "gate_id": "", "scene": "", "decision": "", "reason": record.event,
            "verification_id": "", "credential_id": "", "credential_type": "", "actor": "",
            "note": "", "mode": "", "detail": record.detail}, JournalRow)
    assert isinstance(record, VerificationRecord)
    held = record.credential_id.hex() if record.credential_id else ""
    return msgspec.convert(common | {
        "kind": record.kind, "gate_id": record.gate_id, "scene": record.scene,
        "decision": record.decision, "reason": record.reason,
        "verification_id": record.verification_id, "credential_id": held,
        "credential_type": record.credential_type, "actor": record.actor, "note": record.note,
        "mode": record.evidence.mode, "detail": {}}, JournalRow)


def _place(text: str) -> tuple[int, str, int]:
    at_ms, _, rest = text.partition(".")
    log, _, index = rest.partition(".")
    numbers = at_ms.isdigit() and index.isdigit() and max(len(at_ms), len(index)) <= DIGITS_MAX
    if not (numbers and len(text) <= 120 and text.isascii() and "\0" not in text):
        raise Invalid("before: not a place in the journal")
    return int(at_ms), log, int(index)


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Invalid("credential_id: 32 hex characters") from None
