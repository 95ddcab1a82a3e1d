"""The trust rules of the feed, apart from the bytes' way here.

- The order of loading is the security argument, and the types allow no other: a root
  is pinned by the enrolment code (or restored from the store); from a root one comes
  only to the next root or to a feed; only a feed believes changes and keys.
- An expired root still leads to the next root and to nothing else.
- Every accepted step gives a new object and leaves the old one as it was, so what
  couldn't be stored was never believed.
- Expiry is asked of what is new: metadata that is expired when it comes is refused
  (somebody froze it). What is already believed stays and ages; ages are the scenes'
  business, never the feed's.
- Pure: no I/O, no clock; `now` is a parameter.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from edge.protocol.bundle import BundleHead
from edge.protocol.feed import ChangeBatch, EpochsChanged, KeyDelivery, Root, root_fingerprint
from edge.sync.checks import check_log, check_root_alive, check_times, open_signed
from edge.sync.content import check_changes, check_epochs
from edge.sync.envelope import (
    Refusal,
    Rule,
    check_keys_of_root,
    check_signatures,
    open_envelope,
    parse_body,
    withdrawn,
)
from edge.sync.sealing import open_changes

NO_KEYS: Mapping[int, bytes] = MappingProxyType({})


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far this node has believed; the floor under everything that comes.

    Attributes:
        cursor: Number of the first change not yet believed.
        head: The longest the log was ever said to be.
        issued_s: Issue time of the newest believed batch.
        keys_version, keys_issued_s: Of the newest believed key delivery.
        keys_announced_s: Issue time of the batch that last announced key epochs.
        keys_pending: The announced key epochs aren't held yet.
        snapshot_version, timestamp_issued_s: Of the newest believed timestamp.
    """

    cursor: int = 0
    head: int = 0
    issued_s: int = 0
    keys_version: int = 0
    keys_issued_s: int = 0
    keys_announced_s: int = 0
    keys_pending: bool = False
    snapshot_version: int = 0
    timestamp_issued_s: int = 0

    @property
    def lag(self) -> int:
        """How many changes of the log aren't held yet, as far as is known."""
        return max(0, self.head - self.cursor)


class RootOfTrust(msgspec.Struct, frozen=True, kw_only=True):
    """A believed root, perhaps expired: the way to the next root, or to a feed.

    Attributes:
        node_id: Whose key deliveries are ours.
        envelope: The root's envelope, as it came; this is what the store keeps.
        root: What it says.
        mark: How far this node has believed.
    """

    node_id: str
    envelope: bytes
    root: Root
    mark: Mark

    @classmethod
    def pinned(cls, data: bytes, *, code: str, node_id: str) -> "RootOfTrust":
        """Believe the first root because the enrolment code ends in its fingerprint.

        Args:
            data: The root's envelope.
            code: The one-time code, as an administrator handed it over.
            node_id: Who this node is to the platform.

        Raises:
            Refusal: Rules `size`, `form`, `fingerprint`, `kind`, `format`, `keys_of_root`,
                `signatures`.
        """
        fingerprint = root_fingerprint(open_envelope(data).body)
        if not code.lower().endswith(fingerprint):
            raise Refusal(
                Rule.FINGERPRINT,
                "the root that came isn't the one the code names: this isn't our platform, "
                "or the code is from before its root changed",
            )
        return cls.restored(data, node_id=node_id, mark=Mark())

    @classmethod
    def restored(cls, data: bytes, *, node_id: str, mark: Mark) -> "RootOfTrust":
        """Take up a root that this node believed before.

        Raises:
            Refusal: Rules `size`, `form`, `kind`, `format`, `keys_of_root`, `signatures`.
        """
        envelope = open_envelope(data)
        root = parse_body(envelope, Root)
        check_keys_of_root(root)
        check_signatures(envelope, root, "root")
        return cls(node_id=node_id, envelope=data, root=root, mark=mark)

    def rotated(self, data: bytes) -> "RootOfTrust":
        """Believe the next root: version + 1, signed by enough of the old and of the new.

        Where a role lost a key, the floors that only this role set are lifted, since that
        key may have been stolen and have set them beyond everybody's reach.

        Raises:
            Refusal: Rules `size`, `form`, `signatures`, `kind`, `format`, `keys_of_root`,
                `log`, `order`, `rollback`.
        """
        envelope = open_envelope(data)
        check_signatures(envelope, self.root, "root")
        root = parse_body(envelope, Root)
        check_keys_of_root(root)
        check_signatures(envelope, root, "root")
        check_log(root.log, self.root.log)
        if root.version != self.root.version + 1:
            raise Refusal(
                Rule.ORDER, f"root version {root.version} can't follow {self.root.version}")
        if root.issued_s < self.root.issued_s:
            raise Refusal(Rule.ROLLBACK, "the next root was issued before the one held")
        mark = self.mark
        if withdrawn(self.root, root, "changes"):
            mark = msgspec.structs.replace(mark, head=mark.cursor, issued_s=0)
        if withdrawn(self.root, root, "keys"):
            mark = msgspec.structs.replace(
                mark, keys_version=0, keys_issued_s=0, keys_pending=True)
        if withdrawn(self.root, root, "timestamp"):
            mark = msgspec.structs.replace(mark, snapshot_version=0, timestamp_issued_s=0)
        return RootOfTrust(node_id=self.node_id, envelope=data, root=root, mark=mark)

    def feed(self, now: float) -> "TrustedFeed":
        """Go on from this root, as the newest there is, to its feed.

        Raises:
            Refusal: Rule `root_expired`.
        """
        check_root_alive(self.root, now)
        return TrustedFeed(base=self)


class TrustedFeed(msgspec.Struct, frozen=True):
    """What may say new things to this node. Made by `RootOfTrust.feed` only."""

    base: RootOfTrust

    @property
    def mark(self) -> Mark:
        """How far this node has believed."""
        return self.base.mark

    def bundle(self, data: bytes, now: float) -> BundleHead:
        """Believe the head of a bundle: it is for this node, alive, and none before the last news.

        Raises:
            Refusal: Rules `root_expired`, `size`, `form`, `signatures`, `kind`, `format`,
                `log`, `other_node`, `future`, `expired`, `rollback`.
        """
        root, mark = self.base.root, self.base.mark
        head = open_signed(data, "changes", BundleHead, root, now)
        if head.node_id != self.base.node_id:
            raise Refusal(Rule.OTHER_NODE, "this bundle is for another node")
        check_times(head.issued_s, head.expires_s, mark.issued_s, now)
        return head

    def changes(
        self, data: bytes, now: float, keys: Mapping[int, bytes] = NO_KEYS, *,
        carried: bool = False,
    ) -> tuple["TrustedFeed", ChangeBatch]:
        """Believe a batch of changes, or an empty one as a sign of life; sealed ones are opened.

        Args:
            data: The envelope.
            now: Unix seconds.
            carried: A file brought it. What of it is held already is passed over then: the log
                only grows, so they are the same changes.

        Raises:
            Refusal: Rules `root_expired`, `size`, `form`, `signatures`, `kind`, `format`,
                `log`, `carrier`, `future`, `expired`, `rollback`, `order`, `truncated`, `seal`,
                `content`.
        """
        root, mark = self.base.root, self.base.mark
        batch = open_signed(data, "changes", ChangeBatch, root, now)
        self._check_carrier(batch.carried_to, carried=carried)
        check_times(batch.issued_s, batch.expires_s, mark.issued_s, now)
        if carried and batch.first < mark.cursor:
            if batch.first + len(batch.changes) <= mark.cursor < batch.head:
                return self, msgspec.structs.replace(batch, first=mark.cursor, changes=())
            batch = msgspec.structs.replace(
                batch, first=mark.cursor, changes=batch.changes[mark.cursor - batch.first:])
        _check_order(batch, mark)
        batch = open_changes(batch, keys)
        check_changes(batch.changes)
        cursor = batch.first + len(batch.changes)
        after = msgspec.structs.replace(
            mark, cursor=cursor, head=batch.head, issued_s=batch.issued_s)
        if any(isinstance(change, EpochsChanged) for change in batch.changes):
            after = msgspec.structs.replace(
                after, keys_pending=True, keys_announced_s=batch.issued_s)
        return self._at(after), batch

    def keys(
        self, data: bytes, now: float, *, carried: bool = False
    ) -> tuple["TrustedFeed", KeyDelivery]:
        """Believe a delivery of key epochs to this node; they are still sealed.

        Raises:
            Refusal: Rules `root_expired`, `size`, `form`, `signatures`, `kind`, `format`,
                `log`, `other_node`, `carrier`, `future`, `expired`, `rollback`, `content`.
        """
        root, mark = self.base.root, self.base.mark
        delivery = open_signed(data, "keys", KeyDelivery, root, now)
        if delivery.node_id != self.base.node_id:
            raise Refusal(Rule.OTHER_NODE, "these keys were delivered to another node")
        self._check_carrier(delivery.carried_to, carried=carried)
        check_times(delivery.issued_s, delivery.expires_s, mark.keys_issued_s, now)
        if delivery.version < mark.keys_version:
            raise Refusal(
                Rule.ROLLBACK,
                f"keys version {delivery.version} is older than {mark.keys_version}")
        check_epochs(delivery.epochs)
        # A delivery from before the announcement may be a replayed one: it is no lie, but
        # the announced epochs aren't in it, so they stay wanted.
        newer = delivery.version > mark.keys_version or delivery.issued_s >= mark.keys_announced_s
        after = msgspec.structs.replace(
            mark, keys_version=delivery.version, keys_issued_s=delivery.issued_s,
            keys_pending=mark.keys_pending and not newer)
        return self._at(after), delivery

    def _check_carrier(self, carried_to: str, *, carried: bool) -> None:
        """What was made out to a file lives for weeks: on the wire it would be a long freeze."""
        if carried_to != (self.base.node_id if carried else ""):
            raise Refusal(
                Rule.CARRIER, "this was made out to "
                + ("the file of a node" if carried_to else "the wire") + ", and came otherwise")

    def _at(self, mark: Mark) -> "TrustedFeed":
        return TrustedFeed(msgspec.structs.replace(self.base, mark=mark))


def _check_order(batch: ChangeBatch, mark: Mark) -> None:
    if batch.first != mark.cursor:
        raise Refusal(
            Rule.ORDER, f"changes from {batch.first} on can't follow {mark.cursor} held")
    if batch.head < mark.head:
        raise Refusal(
            Rule.ROLLBACK, f"a log of {batch.head} changes was already {mark.head} long")
    if batch.first + len(batch.changes) > batch.head:
        raise Refusal(Rule.CONTENT, "a batch reaches beyond the end of its own log")
    if not batch.changes and batch.head > batch.first:
        raise Refusal(Rule.TRUNCATED, f"{batch.head - batch.first} changes were left out")
