"""Key epochs: made ahead, delivered sealed, retired.

- Masters and seal keys are random and sealed at rest; a node gets those of the days it may
  hold now, sealed to its own key; a wallet gets derived keys only.
- Retired means deleted: a day that no verifier can accept any more is gone.
"""

import os

import msgspec
from sqlalchemy import delete, select

from central import feed_keys
from central.schema import KeyEpoch, Node
from central.store import Transaction
from edge.hotpath.node_seal import seal_to_node
from edge.protocol.feed import (
    EpochsChanged,
    KeyDelivery,
    SealedEpoch,
    SealedFeedKey,
    feed_key_info,
    seal_info,
)
from edge.protocol.records import EpochKeys
from edge.protocol.steps import DAY_S

RETIRED_AFTER_DAYS = 2
LIFE_S = 3_600


def today(now_s: float) -> int:
    """Give the key epoch of a time."""
    return int(now_s // DAY_S)


def make_ahead(tx: Transaction, ahead_days: int) -> None:
    """Make what is missing up to `ahead_days`, retire what is over; say so in the feed."""
    now = today(tx.now_s)
    held = set(tx.session.scalars(select(KeyEpoch.key_epoch)))
    made = [day for day in range(now - 1, now + ahead_days + 1) if day not in held]
    for day in made:
        keys = EpochKeys(key_epoch=day, master=os.urandom(32), seal_private=os.urandom(32))
        tx.session.add(KeyEpoch(
            key_epoch=day, sealed=tx.keys.seal(f"epoch/{day}", msgspec.msgpack.encode(keys))
        ))
    tx.session.execute(delete(KeyEpoch).where(KeyEpoch.key_epoch < now - RETIRED_AFTER_DAYS))
    if made:
        tx.publish(EpochsChanged(newest=max(made)))


def load_epochs(tx: Transaction, first: int, last: int) -> list[EpochKeys]:
    """Give the secrets of the days from `first` to `last`, both included."""
    rows = tx.session.scalars(
        select(KeyEpoch).where(KeyEpoch.key_epoch.between(first, last))
        .order_by(KeyEpoch.key_epoch)
    )
    return [
        msgspec.msgpack.decode(tx.keys.open(f"epoch/{row.key_epoch}", row.sealed), type=EpochKeys)
        for row in rows
    ]


def delivery(tx: Transaction, node: Node, log: str, ahead_days: int) -> KeyDelivery:
    """Seal the epochs that a node may hold now; the version rises with the day."""
    now = today(tx.now_s)
    return KeyDelivery(
        format=1, log=log, node_id=node.id, version=_version(tx, now, ahead_days),
        issued_s=tx.now_s, expires_s=tx.now_s + LIFE_S,
        epochs=tuple(
            SealedEpoch(keys.key_epoch, seal_to_node(
                msgspec.msgpack.encode(keys), node.seal_public, seal_info(node.id)))
            for keys in load_epochs(tx, now - 1, now + ahead_days)
        ),
        feed_keys=tuple(
            SealedFeedKey(version, seal_to_node(
                secret, node.seal_public, feed_key_info(node.id, version)))
            for version, secret in feed_keys.to_deliver(tx).items()
        ),
    )


def _version(tx: Transaction, now: int, ahead_days: int) -> int:
    """Rise with the day, the days ahead and the feed key."""
    return (now * 1_000 + ahead_days) * 1_000 + min(999, feed_keys.current(tx))
