"""The trust rules of snapshots, apart from the bytes' way here.

- The order is python-tuf's, and the types allow no other: a feed leads to a timestamp, a timestamp
  to the one snapshot that it names, a snapshot to its parts, and all parts to a mark.
- The timestamp bounds the snapshot's length and digest before it is parsed, the snapshot those of
  each part before that is opened, and the length that a part unpacks to before it is unpacked.
- A part holds records to put and nothing else; one unfit record refuses the whole part.
- Pure: no I/O, no clock; `now` is a parameter.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from edge.protocol.feed import (
    ENVELOPE_BYTES_MAX,
    Change,
    PutCredential,
    PutGate,
    PutPolicy,
    PutReference,
    PutStatus,
)
from edge.protocol.snapshot import (
    PART_BYTES_MAX,
    PART_CHANGES_MAX,
    PARTS_MAX,
    PartError,
    Snapshot,
    Timestamp,
    parse_part,
    unpack_part,
)
from edge.sync.checks import check_log, check_root_alive, check_times, open_signed
from edge.sync.content import HASH_BYTES, check_fits
from edge.sync.envelope import Refusal, Rule, check_signatures, open_envelope, parse_body
from edge.sync.rules import Mark, TrustedFeed

PUTS = (PutCredential, PutReference, PutStatus, PutPolicy, PutGate)
_T = TypeVar("_T")


class TrustedTimestamp(msgspec.Struct, frozen=True):
    """The newest snapshot's name. Made by `trust_timestamp` only."""

    feed: TrustedFeed
    timestamp: Timestamp

    def snapshot(self, data: bytes, now: float) -> "TrustedSnapshot":
        """Believe the snapshot that the timestamp names.

        Raises:
            Refusal: Rules `root_expired`, `size`, `digest`, `form`, `signatures`, `kind`, `format`,
                `log`, `order`, `future`, `expired`, `rollback`, `content`.
        """
        root, said, mark = self.feed.base.root, self.timestamp, self.feed.mark
        check_root_alive(root, now)
        _check_named(data, said.length, said.digest, "the snapshot")
        envelope = open_envelope(data)
        check_signatures(envelope, root, "snapshot")
        snapshot = parse_body(envelope, Snapshot)
        check_log(snapshot.log, root.log)
        if snapshot.version != said.version:
            raise Refusal(
                Rule.ORDER,
                f"snapshot {snapshot.version} came where the timestamp names {said.version}")
        check_times(snapshot.issued_s, snapshot.expires_s, 0, now)
        if snapshot.cursor < mark.cursor:
            raise Refusal(
                Rule.ROLLBACK,
                f"a snapshot of {snapshot.cursor} changes, where {mark.cursor} are held")
        _check_parts(snapshot)
        return TrustedSnapshot(self.feed, said, snapshot)


class TrustedSnapshot(msgspec.Struct, frozen=True):
    """A believed snapshot, whose parts are still to come. Made by `TrustedTimestamp.snapshot`."""

    feed: TrustedFeed
    timestamp: Timestamp
    snapshot: Snapshot

    def part(self, number: int, data: bytes, keys: Mapping[int, bytes]) -> list[Change]:
        """Believe a part and give what it puts.

        Args:
            number: Its place in the snapshot.
            data: As it travelled.
            keys: Feed keys held, by version.

        Raises:
            Refusal: Rules `size`, `digest`, `seal`, `content`.
        """
        part = self.snapshot.parts[number]
        what = f"part {number}"
        _check_named(data, part.length, part.digest, what)
        rule = Rule.SEAL if part.key and part.key not in keys else Rule.CONTENT
        plain = _refusing(rule, what, lambda: unpack_part(
            data, part, self.snapshot.log, keys.get(part.key)))
        changes = _refusing(Rule.CONTENT, what, lambda: parse_part(plain))
        if len(changes) != part.changes:
            raise Refusal(Rule.CONTENT, f"{what} doesn't hold the {part.changes} changes said")
        if not all(isinstance(change, PUTS) for change in changes):
            raise Refusal(Rule.CONTENT, f"{what} holds something else than records to put")
        check_fits(changes)
        return changes

    def mark(self) -> Mark:
        """Give how far one has believed when all parts are held; changes follow from there."""
        mark, said = self.feed.mark, self.snapshot
        return msgspec.structs.replace(
            mark, cursor=said.cursor, head=max(mark.head, said.cursor),
            snapshot_version=said.version, timestamp_issued_s=self.timestamp.issued_s)


def trust_timestamp(feed: TrustedFeed, data: bytes, now: float) -> TrustedTimestamp:
    """Believe which snapshot is the newest one.

    Raises:
        Refusal: Rules `root_expired`, `size`, `form`, `signatures`, `kind`, `format`, `log`,
            `future`, `expired`, `rollback`, `content`.
    """
    root, mark = feed.base.root, feed.mark
    timestamp = open_signed(data, "timestamp", Timestamp, root, now)
    check_times(timestamp.issued_s, timestamp.expires_s, mark.timestamp_issued_s, now)
    if timestamp.version < mark.snapshot_version:
        raise Refusal(
            Rule.ROLLBACK,
            f"snapshot {timestamp.version} is older than {mark.snapshot_version}")
    if len(timestamp.digest) != HASH_BYTES or not 1 <= timestamp.length <= ENVELOPE_BYTES_MAX:
        raise Refusal(Rule.CONTENT, "the timestamp names no snapshot that can be")
    return TrustedTimestamp(feed, timestamp)


def _check_named(data: bytes, length: int, digest: bytes, what: str) -> None:
    if len(data) != length:
        raise Refusal(Rule.SIZE, f"{what} has {len(data)} bytes where {length} were named")
    if hashlib.sha256(data).digest() != digest:
        raise Refusal(Rule.DIGEST, f"{what} isn't the one that was named")


def _check_parts(snapshot: Snapshot) -> None:
    if len(snapshot.parts) > PARTS_MAX:
        raise Refusal(Rule.CONTENT, f"{len(snapshot.parts)} parts are over the bound")
    for part in snapshot.parts:
        fits = (len(part.digest) == HASH_BYTES and 1 <= part.length <= PART_BYTES_MAX
                and 1 <= part.plain_length <= PART_BYTES_MAX
                and 1 <= part.changes <= PART_CHANGES_MAX and part.key >= 0)
        if not fits:
            raise Refusal(Rule.CONTENT, "a part of the snapshot is out of bounds")


def _refusing(rule: Rule, what: str, work: Callable[[], _T]) -> _T:
    try:
        return work()
    except PartError as error:
        raise Refusal(rule, f"{what}: {error}") from error
