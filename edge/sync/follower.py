"""Following the feed: the long-poll loop, its backoff, and who is online.

- One turn: prune keys, own token, newest root, own keys, clock, then one long poll. The first poll
  after any failure doesn't wait, so that reconnecting is known at once.
- Online means: the last poll was believed and nothing is left to catch up. Offline means:
  a call timed out, something was refused, or two tries in a row failed. One broken
  connection isn't an outage; one believed batch ends one.
- A node that holds nothing, is far behind, or asks for changes that aren't kept any more begins
  with a snapshot, where there is one.
- A refused key delivery doesn't hold up revocations: it is tried again later.
- Errors of every kind end in a bounded, jittered pause and the next turn, never in
  the end of the loop.
"""

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable, Iterator

from edge.errors import CentralError, FeedRefused, OperatingError
from edge.hotpath.node_seal import NodeSeal
from edge.hotpath.trust import Trust
from edge.protocol.feed import WAIT_S_MAX
from edge.protocol.steps import DAY_S
from edge.sync.backoff import Backoff
from edge.sync.believer import Believer
from edge.sync.envelope import Refusal, Rule
from edge.sync.identity import Identity
from edge.sync.lists import ListKeeper
from edge.sync.options import FollowerOptions, FollowerStatus
from edge.sync.ports import (
    Builder,
    Central,
    CentralGone,
    CentralRefused,
    CentralSilent,
    FeedStore,
)
from edge.sync.taking import SnapshotTaker
from edge.sync.worker import Worker
from edge.tasks import end_task

ROOTS_A_TURN_MAX = 64
CLOCK_TRIP_S_MAX = 2.0
"""Longest round trip that says anything of the time: it may be off by half of it."""
_LOG = logging.getLogger(__name__)


class Follower:
    """Keeps the node's belief in step with the central platform. Lives once: start, stop."""

    def __init__(
        self,
        *,
        central: Central,
        store: FeedStore,
        seal_private: NodeSeal,
        publish: Callable[[Trust], None],
        now: Callable[[], float],
        options: FollowerOptions | None = None,
        jitter: Callable[[], float] = random.random,
        may_forget: Callable[[], bool] = lambda: True,
        builder: Builder | None = None,
        identity: Identity | None = None,
    ) -> None:
        """Wire up; nothing runs before `start`.

        Args:
            central: The platform's calls.
            store: Where belief is put down.
            seal_private: The node's sealing key.
            publish: Takes each new trust on the event loop: one assignment.
            now: Unix seconds.
            options: Bounds of the loop.
            jitter: Numbers in [0, 1) that spread the pauses.
            may_forget: Whether the clock is fit to say that a key epoch is over; one that was set
                ahead would have the node delete its keys.
            builder: Makes stores of snapshots, None = the log is followed from its beginning.
            identity: The node's token, None = it is never rotated.
        """
        self._identity = identity
        self._central = central
        self._now, self._may_forget = now, may_forget
        self._options = options or FollowerOptions()
        self._worker = Worker("kanhe-feed")
        self._believer = Believer(
            store=store, seal_private=seal_private, publish=publish, now=now,
            worker=self._worker, epochs_back=self._options.epochs_back)
        self.lists = ListKeeper(
            source=central, store=store, root=lambda: self._believer.base.root,
            publish=self._believer.set_lists, now=now, jitter=jitter)
        self._backoff = Backoff(self._options.retry_first_s, jitter)
        self._task: asyncio.Task[None] | None = None
        self._last_contact_s: float | None = None
        self._last_error = self._last_rule = self._keys_error = ""
        self._fresh_connection, self._keys_wanted = True, False
        self._root_at = self._clock_at = self._keys_at = -math.inf
        self._taker = SnapshotTaker(
            builder, central, self._believer, self._options.snapshot_every_s) if builder else None

    @property
    def believer(self) -> Believer:
        """Root, mark and trust as they are believed now."""
        return self._believer

    @property
    def status(self) -> FollowerStatus:
        """How following goes."""
        return FollowerStatus(
            last_contact_s=self._last_contact_s, failures=self._backoff.failures,
            last_error=self._last_error, last_rule=self._last_rule,
            keys_error=self._keys_error,
            snapshot=self._taker.progress if self._taker else "",
            identity_error=self._identity.error if self._identity else "")

    async def start(self) -> Trust:
        """Take up what the store holds, publish it, and begin to follow.

        Raises:
            StoreError: The store can't be read, is damaged, or was never enrolled.
            FeedRefused: The stored root is not one.
        """
        assert self._task is None, "already started"
        await self._believer.load()
        await self.lists.start()
        self._task = asyncio.create_task(self._run(), name="kanhe-feed")
        return self._believer.trust

    async def stop(self) -> None:
        """End the loop; when this returns, nobody is inside the store on its behalf."""
        task, self._task = self._task, None
        await end_task(task)
        await self.lists.stop()
        self._worker.close()

    def wake(self) -> None:
        """End a pause now: somebody knows that the network is back."""
        self._backoff.wake()

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except OperatingError as error:
                await self._backoff.pause(self._failed(error))
            except Exception as error:
                # A fault of ours must not end the following of revocations in silence.
                _LOG.exception("feed.fault")
                await self._backoff.pause(self._failed(error))

    async def _turn(self) -> None:
        past = await self._believer.prune() if self._may_forget() else ()
        if past:
            _LOG.info("keys.retired", extra={"key_epochs": past})
        await self._renew_identity()
        await self._renew_root()
        await self._renew_keys()
        await self._ask_clock()
        with self._wanting_keys():
            if self._taker is not None:
                await self._taker.take()
            await self._poll()

    @contextlib.contextmanager
    def _wanting_keys(self) -> Iterator[None]:
        """Ask for keys where something is sealed under one that came with a node's revocation."""
        try:
            yield
        except Refusal as error:
            if error.rule is Rule.SEAL:
                self._keys_wanted, self._keys_at = True, -math.inf
            raise

    async def _renew_identity(self) -> None:
        identity, moment = self._identity, asyncio.get_running_loop().time()
        if identity is None or not identity.is_due(self._now(), moment):
            return
        try:
            enrolment = await identity.renewed(moment)
        except (CentralError, FeedRefused) as error:
            _LOG.warning("identity.refused", extra={"why": str(error)})
            return
        await self._believer.keep(enrolment)
        identity.use(enrolment)
        _LOG.info("identity.renewed", extra={"expires_s": enrolment.expires_s})

    async def _renew_root(self) -> None:
        """Climb to the newest root, where one is due; the order of loading begins here."""
        moment = asyncio.get_running_loop().time()
        if moment < self._root_at:
            return
        for _ in range(ROOTS_A_TURN_MAX):
            data = await self._central.root(self._believer.base.root.version + 1)
            if data is None:
                break
            await self._believer.root(data)
            _LOG.info("root.believed", extra={"version": self._believer.base.root.version})
        self._root_at = moment + self._options.root_every_s

    async def _renew_keys(self) -> None:
        moment = asyncio.get_running_loop().time()
        wanted = (
            self._believer.mark.keys_pending or self._keys_wanted
            or self._believer.lacks_epoch(self._options.epochs_ahead)
            or bool(self._taker and self._taker.due and not self._believer.feed_keys))
        if not wanted or moment < self._keys_at:
            return
        self._keys_at = moment + self._options.keys_retry_s
        try:
            delivery = await self._believer.keys(await self._central.keys())
        except (FeedRefused, CentralError) as error:
            self._keys_error = str(error)
            _LOG.warning("keys.refused", extra={"why": self._keys_error})
            return
        self._keys_error, self._keys_wanted = "", False
        _LOG.info("keys.believed", extra={
            "version": delivery.version, "key_epochs": self._believer.trust.keys.key_epochs})

    async def _ask_clock(self) -> None:
        """Measure the platform's clock against ours, halfway through the call.

        It isn't signed, so what contradicts the last signed time is no answer at all.
        """
        loop = asyncio.get_running_loop()
        if loop.time() < self._clock_at:
            return
        self._clock_at = loop.time() + self._options.clock_every_s
        skew: float | None = None
        with contextlib.suppress(CentralError, FeedRefused):
            before, began = self._now(), loop.time()
            theirs = await self._central.time()
            prompt = loop.time() - began <= CLOCK_TRIP_S_MAX
            if prompt and math.isfinite(theirs) and theirs >= self._believer.mark.issued_s:
                skew = theirs - (before + self._now()) / 2.0
        self._believer.set_clock_skew(skew)

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        catching_up = self._fresh_connection or self._believer.mark.lag > 0
        wait_s = 0 if catching_up else self._wait_s()
        began = loop.time()
        try:
            data = await self._central.feed(self._believer.mark.cursor, wait_s)
        except CentralGone:
            if self._taker is not None:
                self._taker.gone()
            raise
        batch = await self._believer.changes(data)
        self._succeeded()
        if batch.changes:
            _LOG.info("feed.believed", extra={"first": batch.first, "count": len(batch.changes)})
            if self._believer.mark.keys_pending:
                self._keys_at = -math.inf
        elif wait_s and loop.time() - began < min(wait_s, self._options.early_empty_s):
            await asyncio.sleep(self._options.early_empty_s)

    def _wait_s(self) -> int:
        """Wait no longer than to the next key epoch, whose turn begins with pruning."""
        to_next_day = DAY_S - int(self._now()) % DAY_S
        return max(1, min(self._options.wait_s, WAIT_S_MAX, to_next_day))

    def _succeeded(self) -> None:
        self._fresh_connection = False
        self._backoff.reset()
        self._last_contact_s = self._now()
        self._last_error = self._last_rule = ""
        if self._believer.mark.lag == 0:
            if self._believer.trust.mode == "offline":
                _LOG.info("central.online", extra={"cursor": self._believer.mark.cursor})
            self._believer.set_mode("online")

    def _failed(self, error: Exception) -> float:
        """Take note of a failed turn and give the longest pause it deserves."""
        self._backoff.failed()
        self._last_error = str(error) if isinstance(error, OperatingError) else "internal fault"
        self._last_rule = error.rule if isinstance(error, Refusal) else ""
        self._fresh_connection = True
        self._root_at = self._clock_at = -math.inf
        if self._identity is not None and isinstance(error, CentralRefused):
            self._identity.doubt()
        at_once = isinstance(error, CentralSilent | CentralRefused) or not isinstance(
            error, CentralError)
        if at_once or self._backoff.failures >= self._options.failures_to_offline:
            if self._believer.trust.mode == "online":
                _LOG.warning("central.offline", extra={"why": self._last_error})
            self._believer.set_mode("offline")
        unreachable = isinstance(error, CentralError) and not isinstance(error, CentralRefused)
        return self._options.retry_max_s if unreachable else self._options.refused_max_s
