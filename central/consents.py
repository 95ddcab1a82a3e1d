"""What holders agree to: asked by purpose, recorded with how, withdrawn at any time.

- No reference of a face leaves the platform without consent; when it is withdrawn, nodes drop the
  reference, and gates that ask for a face refer to a person instead.
- Purpose and consent travel with a reference: who agrees to be known by the face alone lets nodes
  search for it, who only agrees to the comparison doesn't.
- Rows are only ever added: the history of a consent is part of the record.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, select

from central.errors import Invalid
from central.regions import region_to_publish
from central.schema import Consent, Photograph
from central.store import Transaction
from edge.hotpath.holder import IDENTIFICATION, VERIFICATION
from edge.protocol.feed import DropReference, PutReference
from edge.protocol.records import ReferenceRecord, Words

FACE_VERIFICATION = "face_verification"
FACE_IDENTIFICATION = "face_identification"
PURPOSES: dict[str, Words] = {
    FACE_VERIFICATION: Words(
        "出示码时比对人脸：核验点把现场照片与您的登记照片比对，照片不保存。不同意则由工作人员人工核验。",
        "Compare my face when I show a code: a place compares a picture taken there with my "
        "enrolled one and keeps neither. Without it a person checks instead.",
    ),
    FACE_IDENTIFICATION: Words(
        "仅凭人脸识别：在允许的场所不出示码即可识别。始终可以改用出示码。",
        "Know me by my face alone, without a code, where a place allows it. A code always works "
        "instead.",
    ),
}
REFERENCE_LIFE_S = 5 * 365 * 86_400
HOW_CHARS_MAX = 200


class ConsentShown(msgspec.Struct, frozen=True):
    """The state of one purpose: given, withdrawn (`given` false with a time), or never asked."""

    purpose: str
    words: Words
    given: bool
    at_s: int | None
    how: str


def list_consents(tx: Transaction, holder_id: bytes) -> list[ConsentShown]:
    """Give the state of every purpose."""
    shown = []
    for purpose, words in PURPOSES.items():
        row = _latest(tx, holder_id, purpose)
        shown.append(ConsentShown(
            purpose, words, bool(row and row.given), row.at_s if row else None,
            row.how if row else ""))
    return shown


def is_given(tx: Transaction, holder_id: bytes, purpose: str) -> bool:
    """Tell whether a holder agrees to a purpose now."""
    row = _latest(tx, holder_id, purpose)
    return row is not None and row.given


def set_consent(
    tx: Transaction, holder_id: bytes, purpose: str, *, given: bool, how: str
) -> None:
    """Record that a holder agreed or withdrew, and let nodes have or drop the reference.

    Raises:
        Invalid: There is no such purpose, or it isn't said how.
    """
    if purpose not in PURPOSES:
        raise Invalid(f"purpose: {', '.join(PURPOSES)}")
    if not 1 <= len(how.strip()) <= HOW_CHARS_MAX:
        raise Invalid(f"how: say how the holder agreed, in 1 to {HOW_CHARS_MAX} characters")
    if is_given(tx, holder_id, purpose) == given:
        return
    tx.session.add(Consent(
        holder_id=holder_id, purpose=purpose, given=given, at_s=tx.now_s, how=how.strip()))
    tx.session.flush()
    tx.act(f"consent.{'give' if given else 'withdraw'}", holder_id.hex(), f"{purpose}: {how}")
    compared = is_given(tx, holder_id, FACE_VERIFICATION)
    if compared:
        publish_references(tx, holder_id, region_to_publish(tx, holder_id))
    elif purpose == FACE_VERIFICATION:
        for pack in tx.session.scalars(
                select(Photograph.pack).where(Photograph.holder_id == holder_id)):
            tx.publish(DropReference(holder_id, pack))


def publish_references(tx: Transaction, holder_id: bytes, region: str) -> None:
    """Let nodes have the references of a holder, if the holder agrees to the comparison."""
    if not is_given(tx, holder_id, FACE_VERIFICATION):
        return
    for row in tx.session.scalars(select(Photograph).where(Photograph.holder_id == holder_id)):
        template = tx.keys.open(f"photograph/{holder_id.hex()}/{row.pack}", row.template)
        tx.publish(PutReference(reference_of(
            tx, holder_id, row.pack, template, row.created_s, region)))


def reference_of(
    tx: Transaction, holder_id: bytes, pack: str, template: bytes, created_s: int, region: str
) -> ReferenceRecord:
    """Give a reference as nodes hold it, with what its holder agreed to."""
    return reference_under(
        _latest(tx, holder_id, FACE_IDENTIFICATION), _latest(tx, holder_id, FACE_VERIFICATION),
        holder_id, pack, template, created_s, region)


def latest_of(tx: Transaction, holder_ids: Sequence[bytes]) -> dict[tuple[bytes, str], Consent]:
    """Give the consents that count of many holders, by holder and purpose."""
    rows = tx.session.scalars(
        select(Consent).where(Consent.holder_id.in_(holder_ids)).order_by(Consent.number))
    return {(row.holder_id, row.purpose): row for row in rows}


def reference_under(
    searched: Consent | None, compared: Consent | None, holder_id: bytes, pack: str,
    template: bytes, created_s: int, region: str,
) -> ReferenceRecord:
    """Give a reference under its holder's consents to search and to comparison."""
    known = searched is not None and searched.given
    consent = searched if known else compared
    assert consent is not None, "a reference needs a consent"
    return ReferenceRecord(
        holder_id=holder_id, pack=pack, template=template, created_s=created_s,
        expires_s=created_s + REFERENCE_LIFE_S,
        purpose=IDENTIFICATION if known else VERIFICATION, consent=consent.number,
        consent_s=consent.at_s, region=region,
    )


def count_faces(tx: Transaction) -> int:
    """Count the holders whose face is held (from 100,000 on the regulator is to be told)."""
    return tx.session.scalar(
        select(func.count(func.distinct(Photograph.holder_id)))) or 0


def _latest(tx: Transaction, holder_id: bytes, purpose: str) -> Consent | None:
    return tx.session.scalar(
        select(Consent).where(Consent.holder_id == holder_id, Consent.purpose == purpose)
        .order_by(Consent.number.desc()).limit(1))
