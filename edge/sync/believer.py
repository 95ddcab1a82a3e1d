"""Believing: judge what came, put it down, and only then let verdicts rest on it.

- For each thing that comes: the rules first, then one transaction, then one assignment.
  Whatever fails on the way leaves rules, store and trust as they were.
- It knows no network: what carries the bytes here may be a wire or a file.
- Calls come from one task, one after the other.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from edge.errors import StoreError
from edge.hotpath.keys import KeyRing, oldest_epoch_needed
from edge.hotpath.node_seal import NodeSeal
from edge.hotpath.statuslist import StatusList
from edge.hotpath.trust import Mode, Trust
from edge.protocol.feed import ROLE_CARDS, Change, ChangeBatch, KeyDelivery, PutStatus
from edge.protocol.kh1 import key_epoch_of, step_at
from edge.sync.envelope import Refusal, Rule, role_keys
from edge.sync.ports import Built, FeedStore
from edge.sync.rules import Mark, RootOfTrust
from edge.sync.sealing import open_epochs, open_feed_keys
from edge.sync.state import (
    Enrolment,
    load_base,
    load_enrolment,
    load_feed_keys,
    load_trust,
    meta_of,
    meta_of_enrolment,
    meta_of_feed_keys,
    meta_of_root,
)
from edge.sync.worker import Worker

_T = TypeVar("_T")


class Believer:
    """The node's belief: root, mark and trust, in step with the store."""

    def __init__(
        self,
        *,
        store: FeedStore,
        seal_private: NodeSeal,
        publish: Callable[[Trust], None],
        now: Callable[[], float],
        worker: Worker,
        epochs_back: int,
    ) -> None:
        """Wire up; nothing is believed before `load`.

        Args:
            store: Where belief is put down.
            seal_private: Opens the node's key deliveries.
            publish: Takes each new trust; called on the event loop.
            now: Unix seconds.
            worker: The thread that store calls run on.
            epochs_back: How many past key epochs the ring keeps.
        """
        self._store = store
        self._seal_private = seal_private
        self._publish = publish
        self._now = now
        self._worker = worker
        self._epochs_back = epochs_back
        self._lists: Mapping[str, StatusList] = {}
        self._base: RootOfTrust | None = None
        self._trust: Trust | None = None
        self._feed_keys: dict[int, bytes] = {}

    @property
    def loaded(self) -> bool:
        """Whether `load` has been here."""
        return self._trust is not None

    @property
    def base(self) -> RootOfTrust:
        """The newest believed root and how far belief goes."""
        assert self._base is not None, "load() comes first"
        return self._base

    @property
    def mark(self) -> Mark:
        """How far belief goes."""
        return self.base.mark

    @property
    def trust(self) -> Trust:
        """What verdicts may rest on now."""
        assert self._trust is not None, "load() comes first"
        return self._trust

    async def load(self) -> None:
        """Take up what the store holds, and publish it.

        Raises:
            StoreError: The store can't be read, is damaged, or was never enrolled.
        """
        self._base, trust, self._feed_keys = await self._worker.run(self._loaded)
        self._set(trust)

    async def root(self, data: bytes) -> None:
        """Believe the next root.

        Raises:
            FeedRefused: A trust rule is broken.
            StoreError: It couldn't be put down.
        """
        base = self.base.rotated(data)
        await self._worker.run(
            self._store.apply, (), base.mark.cursor, meta_of_root(base))
        self._base = base
        self._set(self.trust.with_card_keys(role_keys(base.root, ROLE_CARDS)))

    async def changes(self, data: bytes, *, carried: bool = False) -> ChangeBatch:
        """Believe a batch; when this returns, lookups and trust both know it.

        `carried` says that a file brought it; see the rules.

        Raises:
            FeedRefused: A trust rule is broken.
            StoreError: It couldn't be put down.
        """
        now = self._now()
        feed, batch = self.base.feed(now).changes(
            data, now, self._feed_keys, carried=carried)
        trust = self.trust.with_changes(
            batch.changes, cursor=feed.mark.cursor, head=batch.head, issued_s=batch.issued_s)
        await self._worker.run(
            self._store.apply, batch.changes, feed.mark.cursor, meta_of(feed.base, trust))
        self._base = feed.base
        self._set(trust)
        return batch

    async def keys(self, data: bytes, *, carried: bool = False) -> KeyDelivery:
        """Believe a delivery of key epochs, and hold exactly those of them still of use.

        Raises:
            FeedRefused: A trust rule is broken, or the delivery doesn't open.
            StoreError: It couldn't be put down.
        """
        now = self._now()
        feed, delivery = self.base.feed(now).keys(data, now, carried=carried)
        opened = await self._worker.run(open_epochs, delivery, self._seal_private)
        oldest = self._oldest_epoch()
        held = [keys for keys in opened if keys.key_epoch >= oldest]
        feed_keys = open_feed_keys(delivery, self._seal_private)
        ring = await self._worker.run(KeyRing.derive, held)
        trust = self.trust.with_keys(
            ring, issued_s=delivery.issued_s, pending=feed.mark.keys_pending)
        await self._worker.run(self._store.put_epochs, held, {
            **meta_of(feed.base, trust), **meta_of_feed_keys(feed_keys)})
        self._base, self._feed_keys = feed.base, feed_keys
        self._set(trust)
        return delivery

    @property
    def feed_keys(self) -> dict[int, bytes]:
        """What the feed's personal data opens with, by version."""
        return self._feed_keys

    async def adopt(self, built: Built) -> None:
        """Rest on a store that was made of a believed snapshot, from one assignment on.

        Raises:
            FeedRefused: More is held by now than it holds.
            StoreError: What was held stays in use.
        """
        mark, new = self.mark, built.mark
        if new.cursor < mark.cursor:
            raise Refusal(Rule.ROLLBACK, "more is held by now than the snapshot holds")
        mark = msgspec.structs.replace(
            mark, cursor=new.cursor, head=max(mark.head, new.head),
            snapshot_version=new.snapshot_version, timestamp_issued_s=new.timestamp_issued_s)
        base = msgspec.structs.replace(self.base, mark=mark)
        await self._worker.run(
            self._store.adopt, Path(built.folder), mark.cursor, meta_of(base, self.trust))
        self._base = base
        held = await self._worker.run(load_trust, self._store, base)
        self._set(msgspec.structs.replace(
            self.trust, policies=held.policies, gates=held.gates, cursor=held.cursor))

    async def hold(
        self, changes: Sequence[Change], since_s: int = 0, end_s: int = 0
    ) -> None:
        """Put looked-up records down beside what is held; a newer status stays.

        Where a part of the city is held, credentials stay until `end_s`, or until their own end if
        that is later. Times are Unix seconds.

        Raises:
            StoreError: Nothing of it was written.
        """
        await self._worker.run(self._hold, changes, since_s, end_s)

    async def beside(self, work: Callable[[], _T]) -> _T:
        """Do something with the store that may not fall between the feed's own writes."""
        return await self._worker.run(work)

    def _hold(self, changes: Sequence[Change], since_s: int, end_s: int) -> None:
        # On the thread of the feed's own writes, so that no revocation falls between.
        self._store.take_in(
            [change for change in changes if not self._is_older(change)], since_s, end_s)

    def _is_older(self, change: Change) -> bool:
        if not isinstance(change, PutStatus):
            return False
        held = self._store.status(change.status.credential_id)
        return held is not None and held.changed_s >= change.status.changed_s

    async def keep(self, enrolment: Enrolment) -> None:
        """Put down who the node is now; nothing of belief changes.

        Raises:
            StoreError: It couldn't be put down.
        """
        await self._worker.run(
            self._store.apply, (), self.mark.cursor, meta_of_enrolment(enrolment))

    async def prune(self) -> tuple[int, ...]:
        """Forget the key epochs before the ring's oldest day; give those forgotten.

        Raises:
            StoreError: They couldn't be removed, and stay until the next try.
        """
        oldest = self._oldest_epoch()
        past = tuple(day for day in self.trust.keys.key_epochs if day < oldest)
        if past:
            await self._worker.run(self._store.drop_epochs, past)
            self._set(self.trust.without_keys_before(oldest))
        return past

    def lacks_epoch(self, days_ahead: int) -> bool:
        """Say whether today's keys, or those of a day up to `days_ahead`, aren't held."""
        today = key_epoch_of(step_at(self._now()))
        return any(day not in self.trust.keys for day in range(today, today + days_ahead + 1))

    def set_mode(self, mode: Mode) -> None:
        """Publish whether the central platform is in reach, if that changed."""
        if self.trust.mode != mode:
            self._set(self.trust.with_mode(mode))

    def set_lists(self, lists: Mapping[str, StatusList]) -> None:
        """Publish the status lists held; may come at any time, also in the middle of a batch."""
        self._lists = lists
        self._set(self.trust)

    def set_clock_skew(self, skew_s: float | None) -> None:
        """Publish how far the platform's clock is from ours."""
        self._set(self.trust.with_clock_skew(skew_s, self._now()))

    def _loaded(self) -> tuple[RootOfTrust, Trust, dict[int, bytes]]:
        enrolment = load_enrolment(self._store)
        if enrolment is None:
            raise StoreError("this node isn't enrolled: enrol it with a one-time code first")
        base = load_base(self._store, enrolment)
        return base, load_trust(self._store, base), load_feed_keys(self._store)

    def _oldest_epoch(self) -> int:
        steps_back = max((p.steps_back for p in self.trust.policies.values()), default=0)
        return oldest_epoch_needed(
            key_epoch_of(step_at(self._now()) - steps_back), self._epochs_back)

    def _set(self, trust: Trust) -> None:
        self._trust = trust.with_lists(self._lists)
        self._publish(self._trust)
