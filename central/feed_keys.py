"""Feed keys: what seals the personal data of the feed, the same for all nodes, by version.

- Derived from `platform.key`; nodes get the newest versions sealed to themselves, with their key
  epochs.
- When a node is revoked the next version begins: what is sealed from then on it can't read. What
  it held or fetched before it has read already.
"""

from central.schema import Counter
from central.store import Transaction
from edge.protocol.feed import EpochsChanged

COUNTER = "feed_key"
KEPT = 32
"""Versions that a node is given: the newest, and those a snapshot may still be sealed under."""


def current(tx: Transaction) -> int:
    """Give the version in use."""
    row = tx.session.get(Counter, COUNTER)
    return row.value if row is not None else 1


def secret(tx: Transaction, version: int) -> bytes:
    """Give a version's key, 32 bytes."""
    return tx.keys.derive(b"feed/%d" % version)


def to_deliver(tx: Transaction) -> dict[int, bytes]:
    """Give the versions that a node may hold."""
    newest = current(tx)
    return {v: secret(tx, v) for v in range(max(1, newest - KEPT + 1), newest + 1)}


def rotate(tx: Transaction) -> int:
    """Begin the next version and tell the nodes that there are new keys."""
    row = tx.session.get(Counter, COUNTER, with_for_update=True)
    if row is None:
        row = Counter(name=COUNTER, value=1)
        tx.session.add(row)
    row.value += 1
    tx.publish(EpochsChanged(newest=0))
    return row.value
