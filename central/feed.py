"""Signing and publishing: batches, key deliveries.

- A batch says how many changes there are at the time it is signed, in one transaction with
  the changes it carries.
"""

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from central.keys import public_of
from central.schema import FeedChange
from central.store import Transaction
from edge.protocol.bundle import BundleHead
from edge.protocol.feed import (
    CHANGES_MAX,
    FORMAT,
    Body,
    Change,
    ChangeBatch,
    Envelope,
    Signature,
    key_id,
    signed_bytes,
)

BATCH_LIFE_S = 300
BATCH_BYTES_MAX = 4 * 1024 * 1024
_ENCODER = msgspec.msgpack.Encoder()
_CHANGE: msgspec.msgpack.Decoder[Change] = msgspec.msgpack.Decoder(Change)


def sign(body: Body | BundleHead, *keys: Ed25519PrivateKey) -> bytes:
    """Give the envelope of a body signed by a key, or by several."""
    data = _ENCODER.encode(body)
    covered = signed_bytes(data)
    return _ENCODER.encode(Envelope(data, tuple(
        Signature(key_id(public_of(key)), key.sign(covered)) for key in keys)))


def batch(tx: Transaction, log: str, cursor: int) -> ChangeBatch:
    """Give the changes from a cursor on, within the bounds of one batch."""
    head = tx.head()
    first = min(cursor, head)
    rows = tx.session.scalars(
        select(FeedChange).where(FeedChange.number >= first).order_by(FeedChange.number)
        .limit(CHANGES_MAX)
    )
    changes: list[Change] = []
    total = 0
    for row in rows:
        data = tx.keys.open(f"change/{row.number}", row.sealed)
        total += len(data)
        if changes and total > BATCH_BYTES_MAX:
            break
        changes.append(_CHANGE.decode(data))
    return ChangeBatch(
        format=FORMAT, log=log, first=first, head=head, issued_s=tx.now_s,
        expires_s=tx.now_s + BATCH_LIFE_S, changes=tuple(changes),
    )
