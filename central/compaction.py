"""The feed's state, read from the tables page by page: what a snapshot is made of.

- Short transactions, so that the platform goes on meanwhile: one page may be newer than another.
- Only what puts: policies, gates, credentials with the status that isn't valid, and references of
  holders who consent to be compared.
- Not here: signing, sealing and files (central.snapshots).
"""

from collections.abc import AsyncIterator
from functools import partial

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select

from central import consents, policies
from central.regions import regions_of
from central.registry import record_of
from central.schema import Credential, Gate, Photograph
from central.store import Database, Transaction
from edge.protocol.feed import Change, PutCredential, PutGate, PutPolicy, PutReference, PutStatus
from edge.protocol.records import GateRecord, Status, StatusRecord

PAGE_ROWS = 2_000


async def pages(database: Database) -> AsyncIterator[list[Change]]:
    """Give the state, some thousand changes at a time."""
    yield await database.run(_small)
    after = b""
    while True:
        after, page = await database.run(partial(_credentials, after=after))
        if not page:
            break
        yield page
    place: tuple[bytes, str] | None = (b"", "")
    while place is not None:
        place, page = await database.run(partial(_references, after=place))
        yield page


def _small(tx: Transaction) -> list[Change]:
    gates = tx.session.scalars(select(Gate.body).order_by(Gate.id))
    return [
        *(PutPolicy(policy) for policy in policies.list_policies(tx)),
        *(PutGate(msgspec.msgpack.decode(body, type=GateRecord)) for body in gates),
    ]


def _credentials(tx: Transaction, after: bytes) -> tuple[bytes, list[Change]]:
    page: list[Change] = []
    rows = tx.session.scalars(
        select(Credential).where(Credential.id > after).order_by(Credential.id).limit(PAGE_ROWS)
    ).all()
    regions = regions_of(tx, [row.holder_id for row in rows])
    for row in rows:
        page.append(PutCredential(record_of(tx, row, regions.get(row.holder_id, ""))))
        if row.status != Status.VALID:
            page.append(PutStatus(StatusRecord(
                credential_id=row.id, status=Status(row.status), changed_s=row.status_changed_s)))
        after = row.id
    return after, page


def _references(
    tx: Transaction, after: tuple[bytes, str]
) -> tuple[tuple[bytes, str] | None, list[Change]]:
    holder, pack = after
    further: ColumnElement[bool] = or_(
        Photograph.holder_id > holder,
        and_(Photograph.holder_id == holder, Photograph.pack > pack))
    rows = tx.session.execute(
        select(Photograph.holder_id, Photograph.pack, Photograph.template, Photograph.created_s)
        .where(further).order_by(Photograph.holder_id, Photograph.pack).limit(PAGE_ROWS)).all()
    holders = [row[0] for row in rows]
    latest, regions = consents.latest_of(tx, holders), regions_of(tx, holders)
    page: list[Change] = []
    for holder_id, name, sealed, created_s in rows:
        compared = latest.get((holder_id, consents.FACE_VERIFICATION))
        if compared is None or not compared.given:
            continue
        template = tx.keys.open(f"photograph/{holder_id.hex()}/{name}", sealed)
        page.append(PutReference(consents.reference_under(
            latest.get((holder_id, consents.FACE_IDENTIFICATION)), compared, holder_id, name,
            template, created_s, regions.get(holder_id, ""))))
    return ((rows[-1][0], rows[-1][1]) if rows else None), page
