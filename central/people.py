"""Holders as an administrator looks them up: found by exact number, name or id, shown masked.

- Names and numbers are sealed in the database; they are found by keyed hashes, so a search is for
  the whole of one, never for a part.
- Seeing a holder unmasked is an act of its own, with a reason, for one holder at a time.
"""

import msgspec
from sqlalchemy import func, select

from central import consents
from central.consents import ConsentShown
from central.errors import Invalid, Unknown
from central.registry import HolderShown, NewHolder, fields_of, list_holders, parse_id
from central.schema import Credential, Holder, Photograph, Wallet
from central.store import Transaction
from edge.hotpath.disclosure import mask
from edge.protocol.records import Mask

QUERY_CHARS_MAX = 64
FOUND_MAX = 50
_MASKED: dict[str, Mask] = {
    "name": "name", "owner": "name", "id_number": "id_number", "licence_number": "id_number",
    "address": "last4", "birth_date": "year", "file_number": "last4", "plate_number": "plate",
    "vin": "last4", "engine_number": "last4",
}


class CredentialLine(msgspec.Struct, frozen=True):
    """A credential in the list of its holder; fields masked unless revealed."""

    credential_id: str
    type: str
    status: str
    status_changed_s: int
    valid_from_s: int
    valid_until_s: int | None
    fields: dict[str, str]


class HolderPage(msgspec.Struct, frozen=True):
    """Everything an administrator sees of one holder."""

    holder_id: str
    kind: str
    name: str
    number: str
    revealed: bool
    created_s: int
    pack: str
    quality: str
    photographed_s: int | None
    wallets: int
    region: str
    credentials: list[CredentialLine]
    consents: list[ConsentShown]


def find_holders(tx: Transaction, query: str) -> list[HolderShown]:
    """Give the holders that a search names; the newest ones for an empty search."""
    query = query.strip()[:QUERY_CHARS_MAX]
    if not query:
        rows = tx.session.scalars(
            select(Holder.id).order_by(Holder.created_s.desc()).limit(FOUND_MAX)).all()
    else:
        rows = tx.session.scalars(
            select(Holder.id).where(
                (Holder.number_hash == tx.keys.digest("number", query.upper()))
                | (Holder.name_hash == tx.keys.digest("name", query))
                | (Holder.id == _as_id(query))
            ).limit(FOUND_MAX)).all()
        by_credential = tx.session.scalar(
            select(Credential.holder_id).where(Credential.id == _as_id(query)))
        rows = [*rows, *([by_credential] if by_credential else [])]
    return [shown for holder in rows for shown in list_holders(tx, "", 1, only=holder)]


def holder_page(tx: Transaction, holder_id: str, *, reveal: bool = False) -> HolderPage:
    """Give one holder.

    Raises:
        Unknown: There is none of that id.
    """
    row = _holder(tx, holder_id)
    plain = msgspec.json.decode(
        tx.keys.open(f"holder/{row.id.hex()}", row.sealed), type=NewHolder)
    photograph = tx.session.scalar(
        select(Photograph).where(Photograph.holder_id == row.id)
        .order_by(Photograph.created_s.desc()).limit(1))
    wallets = tx.session.scalar(
        select(func.count()).select_from(Wallet).where(Wallet.holder_id == row.id)) or 0
    return HolderPage(
        holder_id=row.id.hex(), kind=row.kind,
        name=plain.name if reveal else mask(plain.name, "name"),
        number=plain.number if reveal else mask(plain.number, "id_number"), revealed=reveal,
        created_s=row.created_s, pack=photograph.pack if photograph else "",
        quality=photograph.quality if photograph else "",
        photographed_s=photograph.created_s if photograph else None, wallets=wallets,
        region=row.region,
        credentials=[_line(tx, item, reveal=reveal) for item in tx.session.scalars(
            select(Credential).where(Credential.holder_id == row.id)
            .order_by(Credential.updated_s, Credential.type))],
        consents=consents.list_consents(tx, row.id),
    )


def reveal_holder(tx: Transaction, holder_id: str, reason: str) -> HolderPage:
    """Give one holder unmasked; who and why is recorded.

    Raises:
        Invalid: No reason is given.
        Unknown: There is none of that id.
    """
    if not reason.strip():
        raise Invalid("reason: say why, for the record")
    page = holder_page(tx, holder_id, reveal=True)
    tx.act("holder.reveal", holder_id, reason)
    return page


def _line(tx: Transaction, row: Credential, *, reveal: bool) -> CredentialLine:
    fields = fields_of(tx, row)
    if not reveal:
        fields = {name: mask(value, _MASKED[name]) if name in _MASKED else value
                  for name, value in fields.items()}
    return CredentialLine(row.id.hex(), row.type, row.status, row.status_changed_s,
                          row.valid_from_s, row.valid_until_s, fields)


def _holder(tx: Transaction, holder_id: str) -> Holder:
    row = tx.session.get(Holder, parse_id(holder_id, "holder"))
    if row is None:
        raise Unknown("there is no such holder")
    return row


def _as_id(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
