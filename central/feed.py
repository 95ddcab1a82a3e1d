"""Signing and publishing: batches, key deliveries.

- A batch says how many changes there are at the time it is signed, in one transaction with
  the changes it carries.
- Changes with personal data are sealed under the feed key of the moment; what withdraws isn't, so
  that it is read whatever keys a node has.
"""

import os

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select

from central import feed_keys
from central.errors import Gone
from central.keys import public_of
from central.schema import Counter, FeedChange
from central.store import Transaction
from edge.protocol.feed import (
    CHANGES_MAX,
    FORMAT,
    Change,
    ChangeBatch,
    Envelope,
    PutCredential,
    PutReference,
    Root,
    SealedChange,
    Signature,
    change_bound,
    key_id,
    signed_bytes,
)

BATCH_LIFE_S = 300
NONCE_BYTES = 12
BATCH_BYTES_MAX = 4 * 1024 * 1024
BEGINS = "changes_from"
"""Counter: number of the oldest change kept; none = 0."""
_ENCODER = msgspec.msgpack.Encoder()
_CHANGE: msgspec.msgpack.Decoder[Change] = msgspec.msgpack.Decoder(Change)


def sign(body: msgspec.Struct, *keys: Ed25519PrivateKey) -> bytes:
    """Give the envelope of a body signed by a key, or by several."""
    data = _ENCODER.encode(body)
    covered = signed_bytes(data)
    return _ENCODER.encode(Envelope(data, tuple(
        Signature(key_id(public_of(key)), key.sign(covered)) for key in keys)))


def signed_by(envelope: Envelope, root: Root, role: str) -> bool:
    """Say whether enough of a role's keys signed an envelope of ours: a file may be damaged."""
    named, covered = root.roles.get(role), signed_bytes(envelope.body)
    good = {
        item.key_id for item in envelope.signatures
        if named is not None and item.key_id in named.key_ids
        and _holds(root.keys.get(item.key_id, b""), item.value, covered)
    }
    return named is not None and len(good) >= named.threshold


def batch(tx: Transaction, log: str, cursor: int, *, sealed: bool = True) -> ChangeBatch:
    """Give the changes from a cursor on, within the bounds of one batch.

    Args:
        tx: A transaction.
        log: Name of the feed.
        cursor: Number of the first change.
        sealed: Whether those with personal data are, under the feed key; a file that is sealed
            as a whole has no need of it.

    Raises:
        Gone: They aren't kept any more: a snapshot holds what they did.
    """
    head = tx.head()
    first = min(cursor, head)
    begins = tx.session.get(Counter, BEGINS)
    if begins is not None and first < begins.value:
        raise Gone(f"the log begins at {begins.value}: take the snapshot")
    rows = tx.session.scalars(
        select(FeedChange).where(FeedChange.number >= first).order_by(FeedChange.number)
        .limit(CHANGES_MAX)
    )
    changes: list[Change] = []
    key = feed_keys.current(tx)
    aead = AESGCM(feed_keys.secret(tx, key))
    total = 0
    for row in rows:
        data = tx.keys.open(f"change/{row.number}", row.sealed)
        total += len(data)
        if changes and total > BATCH_BYTES_MAX:
            break
        change = _CHANGE.decode(data)
        if sealed and isinstance(change, PutCredential | PutReference):
            change = _sealed(data, aead, key, change_bound(log, row.number))
        changes.append(change)
    return ChangeBatch(
        format=FORMAT, log=log, first=first, head=head, issued_s=tx.now_s,
        expires_s=tx.now_s + BATCH_LIFE_S, changes=tuple(changes),
    )


def _holds(public: bytes, value: bytes, covered: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(value, covered)
    except (InvalidSignature, ValueError):
        return False
    return True


def _sealed(data: bytes, aead: AESGCM, key: int, bound: bytes) -> SealedChange:
    nonce = os.urandom(NONCE_BYTES)
    return SealedChange(key, nonce + aead.encrypt(nonce, data, bound))
