"""What sync remembers across a restart: who the node is, its root, how far it believed.

- Kept in the store's meta, beside the changes and in the same transactions, so that
  after a kill at any moment both tell the same story.
- The store encrypts meta at rest; the token is in it.
- Not here: when anything of it changes (edge.sync.believer, edge.sync.enrol).
"""

from typing import TypeVar

import msgspec

from edge.errors import StoreError
from edge.hotpath.keys import KeyRing
from edge.hotpath.trust import Trust, usable_gates
from edge.protocol.feed import ROLE_CARDS
from edge.sync.envelope import UNREADABLE, role_keys
from edge.sync.ports import FeedStore
from edge.sync.rules import Mark, RootOfTrust

META_ENROLMENT = "sync.enrolment"
META_ROOT = "sync.root"
META_MARK = "sync.mark"
META_FRESHNESS = "sync.freshness"
META_FEED_KEYS = "sync.feed_keys"


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """Who this node is to its central platform.

    Attributes:
        node_id: Its id there.
        token: Its bearer token; never shown.
        log: The feed it follows.
        name: What it called itself.
        expires_s: When the token ends, by the platform's clock; 0 = not known.
        renew_s: When it is to be rotated.
    """

    node_id: str
    token: str
    log: str
    name: str
    expires_s: int = 0
    renew_s: int = 0

    def __repr__(self) -> str:
        """Show all but the token."""
        return f"Enrolment(node_id={self.node_id!r}, log={self.log!r}, name={self.name!r})"


class Freshness(msgspec.Struct, frozen=True):
    """The times of `Trust`, so that ages go on counting over a restart."""

    status_as_of_s: int | None = None
    keys_as_of_s: int | None = None


class FeedKeys(msgspec.Struct, frozen=True):
    """What the feed's personal data opens with."""

    by_version: dict[int, bytes]

    def __repr__(self) -> str:
        """Show the versions only."""
        return f"FeedKeys(versions={sorted(self.by_version)})"


_Kept = TypeVar("_Kept", Enrolment, Mark, Freshness, FeedKeys)


def load_enrolment(store: FeedStore) -> Enrolment | None:
    """Give who this node is, None before its enrolment.

    Raises:
        StoreError: The store can't be read, or holds something else there.
    """
    data = store.meta(META_ENROLMENT)
    return None if data is None else _decoded(data, Enrolment)


def load_base(store: FeedStore, enrolment: Enrolment) -> RootOfTrust:
    """Take up the root and the mark that were believed last.

    Raises:
        StoreError: They are missing or damaged.
        Refusal: The root is not one.
    """
    envelope = store.meta(META_ROOT)
    mark = store.meta(META_MARK)
    if envelope is None or mark is None:
        raise StoreError("the store knows its node but no root: enrol into an empty data folder")
    return RootOfTrust.restored(
        envelope, node_id=enrolment.node_id, mark=_decoded(mark, Mark))


def load_trust(store: FeedStore, base: RootOfTrust) -> Trust:
    """Build the view of everything held; offline until somebody is heard.

    Raises:
        StoreError: The store can't be read or is damaged.
    """
    data = store.meta(META_FRESHNESS)
    fresh = Freshness() if data is None else _decoded(data, Freshness)
    return Trust(
        node_id=base.node_id,
        log=base.root.log,
        keys=KeyRing.derive(store.epochs()),
        policies=dict(store.policies()),
        gates=usable_gates(store.gates().values(), base.node_id),
        cursor=base.mark.cursor,
        keys_as_of_s=fresh.keys_as_of_s,
        status_as_of_s=fresh.status_as_of_s,
        keys_pending=base.mark.keys_pending,
        card_keys=role_keys(base.root, ROLE_CARDS),
    )


def load_feed_keys(store: FeedStore) -> dict[int, bytes]:
    """Give the feed keys held, by version.

    Raises:
        StoreError: The store can't be read or is damaged.
    """
    data = store.meta(META_FEED_KEYS)
    return {} if data is None else _decoded(data, FeedKeys).by_version


def meta_of_feed_keys(by_version: dict[int, bytes]) -> dict[str, bytes]:
    """Give what has to be kept of feed keys."""
    return {META_FEED_KEYS: _ENCODER.encode(FeedKeys(by_version))}


def meta_of(base: RootOfTrust, trust: Trust) -> dict[str, bytes]:
    """Give what has to be kept after a step of belief."""
    return {
        META_MARK: _ENCODER.encode(base.mark),
        META_FRESHNESS: _ENCODER.encode(Freshness(trust.status_as_of_s, trust.keys_as_of_s)),
    }


def meta_of_root(base: RootOfTrust) -> dict[str, bytes]:
    """Give what has to be kept after a root was believed."""
    return {META_ROOT: base.envelope, META_MARK: _ENCODER.encode(base.mark)}


def meta_to_begin_again(base: RootOfTrust) -> dict[str, bytes]:
    """Give what has to be kept to take the feed in from its beginning, still never believing
    anything older than what was believed.
    """
    mark = msgspec.structs.replace(base.mark, cursor=0)
    return {META_MARK: _ENCODER.encode(mark), META_FRESHNESS: _ENCODER.encode(Freshness())}


def meta_of_enrolment(enrolment: Enrolment) -> dict[str, bytes]:
    """Give what has to be kept of an enrolment, beside its root."""
    return {META_ENROLMENT: _ENCODER.encode(enrolment)}


def _decoded(data: bytes, kind: type[_Kept]) -> _Kept:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except UNREADABLE:
        # No cause is kept: the decoder's words could quote the token.
        raise StoreError(
            f"what the store keeps as {kind.__name__} is damaged: enrol into an empty data folder"
        ) from None


_ENCODER = msgspec.msgpack.Encoder()
