"""Open the key epochs and feed keys that the central platform sealed to this node.

- HPKE (edge.hotpath.node_seal); `info` binds a sealed epoch to the node, so one node's delivery is
  worth nothing to another.
- All epochs of a delivery open, or none is believed.
- Not here: signatures and versions of a delivery (edge.sync.rules); at-rest encryption.
"""

from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.hotpath.node_seal import NodeSeal
from edge.protocol.feed import (
    Change,
    ChangeBatch,
    KeyDelivery,
    SealedChange,
    change_bound,
    feed_key_info,
    seal_info,
)
from edge.protocol.records import EpochKeys
from edge.sync.envelope import UNREADABLE, Refusal, Rule

SECRET_BYTES = 32
NONCE_BYTES = 12


def open_epochs(delivery: KeyDelivery, private: NodeSeal) -> tuple[EpochKeys, ...]:
    """Open every sealed epoch of a believed delivery.

    Args:
        delivery: One that `TrustedFeed.keys` gave.
        private: The node's sealing key.

    Returns:
        The epochs, ascending.

    Raises:
        Refusal: Rule `seal`: an epoch doesn't open for this node, or holds something else.
    """
    info = seal_info(delivery.node_id)
    opened = [
        _open_epoch(epoch.key_epoch, epoch.sealed, private, info) for epoch in delivery.epochs
    ]
    return tuple(sorted(opened, key=lambda keys: keys.key_epoch))


def open_feed_keys(delivery: KeyDelivery, private: NodeSeal) -> dict[int, bytes]:
    """Open every sealed feed key of a believed delivery, by version.

    Raises:
        Refusal: Rule `seal`: one doesn't open for this node, or isn't a key.
    """
    opened = {}
    for item in delivery.feed_keys:
        try:
            secret = private.open(item.sealed, feed_key_info(delivery.node_id, item.version))
        except (InvalidTag, ValueError) as error:
            raise Refusal(
                Rule.SEAL, f"feed key {item.version} isn't sealed to this node's key") from error
        if len(secret) != SECRET_BYTES or item.version < 1:
            raise Refusal(Rule.SEAL, f"feed key {item.version} isn't one")
        opened[item.version] = secret
    return opened


def open_changes(batch: ChangeBatch, keys: Mapping[int, bytes]) -> ChangeBatch:
    """Open the sealed changes of a batch whose signatures hold.

    Args:
        batch: As it came.
        keys: Feed keys held, by version.

    Raises:
        Refusal: Rule `seal`: a feed key isn't held, or a change doesn't open at its place.
    """
    if not any(isinstance(change, SealedChange) for change in batch.changes):
        return batch
    return msgspec.structs.replace(batch, changes=tuple(
        open_change(change, keys, change_bound(batch.log, number))
        if isinstance(change, SealedChange) else change
        for number, change in enumerate(batch.changes, batch.first)))


def open_change(change: SealedChange, keys: Mapping[int, bytes], bound: bytes) -> Change:
    """Open one sealed change.

    Args:
        change: Of a body whose signatures hold.
        keys: Feed keys held, by version.
        bound: What it must be bound to.

    Raises:
        Refusal: Rule `seal`.
    """
    secret = keys.get(change.key)
    if secret is None:
        raise Refusal(Rule.SEAL, f"feed key {change.key} isn't held yet")
    try:
        plain = AESGCM(secret).decrypt(
            change.sealed[:NONCE_BYTES], change.sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise Refusal(Rule.SEAL, f"a change doesn't open under feed key {change.key}") from None
    try:
        opened = _CHANGE.decode(plain)
    except UNREADABLE:
        # The decoder's words could quote personal fields, so no cause is kept here.
        raise Refusal(Rule.SEAL, "a sealed change holds something else") from None
    if isinstance(opened, SealedChange):
        raise Refusal(Rule.SEAL, "a change is sealed twice")
    return opened


def _open_epoch(
    key_epoch: int, sealed: bytes, private: NodeSeal, info: bytes
) -> EpochKeys:
    try:
        plain = private.open(sealed, info)
    except (InvalidTag, ValueError) as error:
        raise Refusal(
            Rule.SEAL,
            f"key epoch {key_epoch} isn't sealed to this node's key: enrol it again if its "
            "key file was replaced",
        ) from error
    try:
        keys = _EPOCH.decode(plain)
    except UNREADABLE:
        # The decoder's words could quote what was sealed, so no cause is kept here.
        raise Refusal(Rule.SEAL, f"key epoch {key_epoch} holds no keys") from None
    if keys.key_epoch != key_epoch or {len(keys.master), len(keys.seal_private)} != {SECRET_BYTES}:
        raise Refusal(Rule.SEAL, f"key epoch {key_epoch} holds keys of another form or day")
    return keys


_EPOCH = msgspec.msgpack.Decoder(EpochKeys)
_CHANGE: msgspec.msgpack.Decoder[Change] = msgspec.msgpack.Decoder(Change)
