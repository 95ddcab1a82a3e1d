"""Holders, their photographs, their credentials and the status of these.

- Personal data is sealed at rest and masked in listings.
- Suspended and valid lead to each other; revoked is final: what was withdrawn for good is
  granted anew, not restored.
- Every act is noted, with who and why.
"""

import secrets
from datetime import date, datetime, timedelta, timezone

import msgspec
from sqlalchemy import select

from central import consents, statuslists
from central.errors import Conflict, Invalid, Unknown
from central.forms import check_fields
from central.identifiers import wrong_credit_code, wrong_resident_id
from central.regions import check_region, region_to_publish
from central.schema import Counter, Credential, Holder, Photograph
from central.store import Transaction
from edge.hotpath.disclosure import mask
from edge.protocol.feed import PutCredential, PutReference, PutStatus
from edge.protocol.records import (
    CredentialRecord,
    Status,
    StatusRecord,
)

CHINA = timezone(timedelta(hours=8))
NAME_CHARS_MAX = 60


class NewHolder(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True,
):
    """Who is to be registered: a person by resident ID, an organisation by credit code.

    Without `region` it is what is sealed of a holder, which earlier versions read as well.
    """

    name: str
    number: str
    kind: str = "person"
    region: str = ""


class NewCredential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be granted; dates are ISO, both days included, in China's time."""

    holder_id: str
    type: str
    fields: dict[str, str]
    valid_from: str | None = None
    valid_until: str | None = None


class HolderShown(msgspec.Struct, frozen=True):
    """A holder in a listing, masked."""

    holder_id: str
    kind: str
    name: str
    number: str
    photograph: bool
    region: str


class CredentialShown(msgspec.Struct, frozen=True):
    """A credential as an administrator sees it."""

    credential_id: str
    holder_id: str
    type: str
    status: str
    valid_from_s: int
    valid_until_s: int | None
    fields: dict[str, str]


def parse_id(text: str, what: str) -> bytes:
    """Parse an id of 32 hex characters.

    Raises:
        Unknown: It can't be the id of anything.
    """
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 16:
        raise Unknown(f"there is no such {what}")
    return raw


def add_holder(tx: Transaction, new: NewHolder) -> str:
    """Register a holder and give the id.

    Raises:
        Invalid: Name, number or region is wrong.
        Conflict: The number is registered already.
    """
    if not 1 <= len(new.name.strip()) <= NAME_CHARS_MAX:
        raise Invalid(f"name: 1 to {NAME_CHARS_MAX} characters")
    checks = {"person": wrong_resident_id, "organisation": wrong_credit_code}
    if new.kind not in checks:
        raise Invalid("kind: person or organisation")
    problem = checks[new.kind](new.number)
    if problem:
        raise Invalid(f"number: {problem}")
    check_region(new.region)
    number_hash = tx.keys.digest("number", new.number)
    if tx.session.scalar(select(Holder.id).where(Holder.number_hash == number_hash)):
        raise Conflict("a holder with this number is registered already")
    holder_id = secrets.token_bytes(16)
    tx.session.add(Holder(
        id=holder_id, kind=new.kind, number_hash=number_hash, created_s=tx.now_s,
        name_hash=tx.keys.digest("name", new.name.strip()), region=new.region,
        sealed=tx.keys.seal(f"holder/{holder_id.hex()}", msgspec.json.encode(
            msgspec.structs.replace(new, region=""))),
    ))
    tx.act("holder.add", holder_id.hex())
    return holder_id.hex()


def list_holders(
    tx: Transaction, after: str, limit: int, *, only: bytes | None = None
) -> list[HolderShown]:
    """Give holders in the order of ids, masked; `only` gives the one of that id."""
    start = bytes.fromhex(after) if after else b""
    query = select(Holder).where(Holder.id > start).order_by(Holder.id).limit(limit)
    if only is not None:
        query = select(Holder).where(Holder.id == only)
    rows = tx.session.scalars(query).all()
    pictured = set(tx.session.scalars(
        select(Photograph.holder_id).where(Photograph.holder_id.in_([row.id for row in rows]))))
    shown = []
    for row in rows:
        plain = msgspec.json.decode(
            tx.keys.open(f"holder/{row.id.hex()}", row.sealed), type=NewHolder
        )
        shown.append(HolderShown(
            row.id.hex(), row.kind, mask(plain.name, "name"), mask(plain.number, "id_number"),
            row.id in pictured, row.region,
        ))
    return shown


def set_region(tx: Transaction, holder_id: str, region: str) -> None:
    """Move a holder: nodes of the old region let go of everything, those of the new one take it.

    Raises:
        Invalid: It is no region.
        Unknown: There is no such holder.
    """
    check_region(region)
    holder = tx.session.get(Holder, parse_id(holder_id, "holder"), with_for_update=True)
    if holder is None:
        raise Unknown("there is no such holder")
    if holder.region == region:
        return
    # Whatever was published of the holder since this transaction began makes it begin again.
    tx.session.get(Counter, "changes", with_for_update=True)
    before, holder.region = holder.region, region
    for row in tx.session.scalars(select(Credential).where(Credential.holder_id == holder.id)):
        tx.publish(PutCredential(record_of(tx, row, region)))
    consents.publish_references(tx, holder.id, region)
    tx.act("holder.region", holder_id, f"{before or 'none'} to {region or 'none'}")


def put_photograph(
    tx: Transaction, holder_id: str, image: bytes, pack: str, template: bytes, quality: float
) -> None:
    """Keep a photograph and publish the reference made of it.

    Raises:
        Unknown: There is no such holder.
        Conflict: The holder hasn't agreed to the comparison of faces.
    """
    holder = tx.session.get(Holder, parse_id(holder_id, "holder"))
    if holder is None:
        raise Unknown("there is no such holder")
    if not consents.is_given(tx, holder.id, consents.FACE_VERIFICATION):
        raise Conflict("record the holder's consent to face verification first")
    place = f"photograph/{holder_id}/{pack}"
    old = tx.session.get(Photograph, (holder.id, pack))
    if old is not None:
        tx.session.delete(old)
        tx.session.flush()
    tx.session.add(Photograph(
        holder_id=holder.id, pack=pack, image=tx.keys.seal(place, image),
        template=tx.keys.seal(place, template), quality=f"{quality:.3f}", created_s=tx.now_s,
    ))
    tx.publish(PutReference(consents.reference_of(
        tx, holder.id, pack, template, tx.now_s, region_to_publish(tx, holder.id))))
    tx.act("holder.photograph", holder_id, f"quality {quality:.2f}")


def issue(tx: Transaction, new: NewCredential) -> str:
    """Grant a credential and give its id.

    Raises:
        Invalid: A field or date is wrong.
        Unknown: There is no such holder.
    """
    holder_id = parse_id(new.holder_id, "holder")
    if tx.session.get(Holder, holder_id) is None:
        raise Unknown("there is no such holder")
    region = region_to_publish(tx, holder_id)
    check_fields(new.type, new.fields)
    valid_from = _day(new.valid_from, 0) if new.valid_from else tx.now_s
    valid_until = _day(new.valid_until, 1) if new.valid_until else None
    if valid_until is not None and valid_until <= valid_from:
        raise Invalid("valid_until: it is before valid_from")
    row = Credential(
        id=secrets.token_bytes(16), holder_id=holder_id, type=new.type, valid_from_s=valid_from,
        valid_until_s=valid_until, status=Status.VALID.value, status_changed_s=tx.now_s,
        updated_s=tx.now_s, sealed=b"",
    )
    row.sealed = tx.keys.seal(f"credential/{row.id.hex()}", msgspec.json.encode(new.fields))
    tx.session.add(row)
    statuslists.allot(tx, row.id)
    tx.publish(PutCredential(record_of(tx, row, region)))
    tx.act("credential.issue", row.id.hex())
    return row.id.hex()


def get_credential(tx: Transaction, credential_id: str) -> CredentialShown:
    """Give one credential.

    Raises:
        Unknown: There is none of that id.
    """
    row = _credential(tx, credential_id)
    return CredentialShown(
        credential_id, row.holder_id.hex(), row.type, row.status, row.valid_from_s,
        row.valid_until_s, fields_of(tx, row),
    )


def set_status(tx: Transaction, credential_id: str, status: str, reason: str) -> None:
    """Suspend, restore or revoke.

    Raises:
        Invalid: No such status, or no reason given.
        Conflict: The credential is revoked, which is final.
    """
    if status not in {item.value for item in Status}:
        raise Invalid("status: valid, suspended or revoked")
    if not reason.strip():
        raise Invalid("reason: say why, for the record")
    row = _credential(tx, credential_id)
    if row.status == status:
        return
    if row.status == Status.REVOKED:
        raise Conflict("a revoked credential stays revoked: issue a new one")
    row.status, row.status_changed_s = status, tx.now_s
    statuslists.mark(tx, row.id, Status(status))
    tx.publish(PutStatus(StatusRecord(
        credential_id=row.id, status=Status(status), changed_s=tx.now_s
    )))
    tx.act(f"credential.{status}", credential_id, reason)


def fields_of(tx: Transaction, row: Credential) -> dict[str, str]:
    """Give the personal fields of a credential."""
    return msgspec.json.decode(
        tx.keys.open(f"credential/{row.id.hex()}", row.sealed), type=dict[str, str])


def record_of(tx: Transaction, row: Credential, region: str) -> CredentialRecord:
    """Give a credential as nodes hold it, in its holder's region."""
    return CredentialRecord(
        credential_id=row.id, holder_id=row.holder_id, type=row.type,
        valid_from_s=row.valid_from_s, valid_until_s=row.valid_until_s,
        fields=fields_of(tx, row), updated_s=row.updated_s, region=region,
    )


def _credential(tx: Transaction, credential_id: str) -> Credential:
    row = tx.session.get(Credential, parse_id(credential_id, "credential"))
    if row is None:
        raise Unknown("there is no such credential")
    return row


def _day(text: str, add: int) -> int:
    """Give the first second of a day in China, or of the one after it."""
    try:
        day = date.fromisoformat(text) + timedelta(days=add)
    except ValueError as error:
        raise Invalid("a date is written like 2031-05-01") from error
    return int(datetime(day.year, day.month, day.day, tzinfo=CHINA).timestamp())
