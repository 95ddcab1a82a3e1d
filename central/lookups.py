"""Answers to nodes that hold only what they were told of.

- By credential id, or by the exact document number of a holder; a number is looked for by its keyed
  hash and noted nowhere.
- Everything a node needs comes at once: credentials, status that isn't valid, references.
"""

import hashlib
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.msgpack import encode
from sqlalchemy import select

from central import consents, feed_keys
from central.errors import Invalid
from central.regions import regions_of
from central.registry import record_of
from central.schema import Credential, Holder, Node, Photograph
from central.store import Transaction
from edge.protocol.feed import (
    FORMAT,
    Change,
    PutCredential,
    PutReference,
    PutStatus,
    SealedChange,
    change_bound,
)
from edge.protocol.lookup import (
    ASKED_MAX,
    CHANGES_MAX,
    LIFE_S,
    NUMBER_CHARS_MAX,
    LookedUp,
    LookupRequest,
    lookup_log,
)
from edge.protocol.records import Status, StatusRecord

NONCE_BYTES = 12


def look_up(tx: Transaction, node: Node, log: str, request: LookupRequest, raw: bytes) -> LookedUp:
    """Answer a node.

    Args:
        tx: The transaction.
        node: Who asks.
        log: Name of the feed.
        request: What is asked for.
        raw: The request's bytes, whose digest the answer names.

    Raises:
        Invalid: More is asked for than the bound, or nothing that can be an id or number.
    """
    ids, numbers = request.credential_ids, request.numbers
    if not 1 <= len(ids) + len(numbers) <= ASKED_MAX:
        raise Invalid(f"ask for 1 to {ASKED_MAX} ids and numbers at once")
    if any(len(id_) != 16 for id_ in ids) or any(
            not 1 <= len(number) <= NUMBER_CHARS_MAX for number in numbers):
        raise Invalid("an id is 16 bytes, a number has 1 to 64 characters")
    hashes = [tx.keys.digest("number", number.strip().upper()) for number in numbers]
    by_number = set(tx.session.scalars(select(Holder.id).where(Holder.number_hash.in_(hashes))))
    rows = list(tx.session.scalars(select(Credential).where(Credential.id.in_(ids))))
    holders = by_number | {row.holder_id for row in rows}
    regions = regions_of(tx, holders)
    changes: list[Change] = []
    for row in tx.session.scalars(select(Credential).where(
            Credential.holder_id.in_(by_number) | Credential.id.in_(ids))):
        changes.append(PutCredential(record_of(tx, row, regions.get(row.holder_id, ""))))
        if row.status != Status.VALID:
            changes.append(PutStatus(StatusRecord(
                credential_id=row.id, status=Status(row.status), changed_s=row.status_changed_s)))
    changes += _references(tx, sorted(holders), regions)
    return LookedUp(
        format=FORMAT, log=log, node_id=node.id, asked=hashlib.sha256(raw).digest(),
        issued_s=tx.now_s, expires_s=tx.now_s + LIFE_S, found=len(by_number) + len(rows),
        changes=_sealed(tx, changes[:CHANGES_MAX], lookup_log(log, node.id)))


def _references(
    tx: Transaction, holders: list[bytes], regions: dict[bytes, str]
) -> list[Change]:
    latest = consents.latest_of(tx, holders)
    found: list[Change] = []
    for row in tx.session.scalars(select(Photograph).where(Photograph.holder_id.in_(holders))):
        compared = latest.get((row.holder_id, consents.FACE_VERIFICATION))
        if compared is None or not compared.given:
            continue
        template = tx.keys.open(f"photograph/{row.holder_id.hex()}/{row.pack}", row.template)
        found.append(PutReference(consents.reference_under(
            latest.get((row.holder_id, consents.FACE_IDENTIFICATION)), compared, row.holder_id,
            row.pack, template, row.created_s, regions.get(row.holder_id, ""))))
    return found


def _sealed(tx: Transaction, changes: list[Change], log: str) -> tuple[Change, ...]:
    version = feed_keys.current(tx)
    encrypt = AESGCM(feed_keys.secret(tx, version)).encrypt
    found: list[Change] = []
    for place, change in enumerate(changes):
        if isinstance(change, PutStatus):
            found.append(change)
            continue
        nonce = os.urandom(NONCE_BYTES)
        found.append(SealedChange(version, nonce + encrypt(
            nonce, encode(change), change_bound(log, place))))
    return tuple(found)
