"""The keeper as a worker sees it: one line to it, and what was heard over it.

- What comes up in one turn of the worker's loop goes out as one frame, and what nobody waits for
  goes with the next one, after a moment at most.
- While the keeper doesn't read, nothing more is said: counts are summed until it does, and what
  somebody waits for is bounded by how much may wait.
- Nothing is judged unless the keeper was heard a moment ago and the wall clock has gone on evenly
  since: a worker has no clock, no guard and no trust of its own.
- The line's end is the worker's end: it can't promise anything without the keeper.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

from edge.clock.judge import LEAP_S
from edge.clock.kernel import anchor_s
from edge.crew.sums import Sums
from edge.crew.telling import heard
from edge.crew.waiting import Passed, Told, Waiting
from edge.crew.words import (
    Asked,
    Beat,
    Drained,
    Frames,
    Hello,
    PassedCall,
    Reopen,
    Scope,
    Serving,
    Settled,
    State,
    ToKeeper,
    TrustTold,
    Turn,
    Welcome,
    decode_to_worker,
    framed,
)
from edge.errors import CapacityError
from edge.hotpath.trust import Trust
from edge.pipeline.answer import Outcome
from edge.protocol.journal import VerificationRecord, encode_record
from edge.protocol.records import EpochKeys
from edge.tally import OTHER

FRESH_S = 3.0
"""How long what was heard of the keeper holds: six of its beats."""
LATER_S = 0.002
"""How long what nobody waits for waits for a frame of others at most."""
UNREAD_BYTES_MAX = 1024 * 1024
"""What the keeper may leave unread before it is told nothing more until it reads."""
STATUSES_MAX = 64
REFUSED_GATES_MAX = 4_096
"""What is beyond so many keys at once is counted as `other`."""
_LOG = logging.getLogger(__name__)


class Store(Protocol):
    """What is read of the node's store."""

    def epochs(self) -> list[EpochKeys]:
        """Give the key epochs."""
        ...

    def reopen(self) -> None:
        """Take up the store that is there now."""
        ...


class KeeperLine(asyncio.Protocol):
    """The line. Implements `edge.pipeline.codes.Keeper` and the pipeline's `Clock`.

    Attributes:
        welcome: Told when the keeper is there.
        ready: Set once a trust and a beat were heard.
        lost: Set when the keeper is gone.
    """

    def __init__(self, slot: int) -> None:
        """Begin with nothing heard."""
        loop = asyncio.get_running_loop()
        self._slot, self._frames = slot, Frames()
        self.welcome: asyncio.Future[Welcome] = loop.create_future()
        self.ready, self.lost = asyncio.Event(), asyncio.Event()
        self._loop, self._transport = loop, cast(asyncio.Transport, None)
        self._store: Store | None = None
        self._early: list[bytes] = []
        self._store_number = 0
        self._trust: Trust | None = None
        self._beat, self._heard_s = Beat("untrusted", 0.0, "node"), float("-inf")
        self._waiting = Waiting()
        self._asked: list[Asked] = []
        self._answered: list[tuple[bytes, bytes]] = []
        self._saw: list[tuple[bytes, int]] = []
        self._passed: list[PassedCall] = []
        self._unmade: list[bytes] = []
        self._problems, self._refused = Sums(STATUSES_MAX, 0), Sums(REFUSED_GATES_MAX, OTHER)
        self._due: asyncio.Handle | None = None
        self._at_once = self._unread = False
        self._unseen = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say which worker this is."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(UNREAD_BYTES_MAX)
        self.say(Hello(self._slot))

    def pause_writing(self) -> None:
        """Say nothing more: the keeper doesn't read."""
        _LOG.warning("keeper.deaf")
        self._unread = True

    def resume_writing(self) -> None:
        """Say what was gathered meanwhile."""
        _LOG.warning("keeper.hears", extra={"codes_unseen": self._unseen})
        self._unread, self._unseen = False, 0
        self._flush_soon()

    def data_received(self, data: bytes) -> None:
        """Hear the keeper."""
        for body in self._frames.feed(data):
            if self._store is None and self.welcome.done():
                self._early.append(body)
            else:
                self._take(body)

    def connection_lost(self, _: BaseException | None) -> None:
        """The keeper is gone."""
        self.lost.set()
        self.ready.set()
        self._waiting.end(CapacityError("the node is ending"))

    def use(self, store: Store) -> None:
        """Take up what was told, now that the store is open."""
        self._store = store
        early, self._early = self._early, []
        for body in early:
            self._take(body)

    def say(self, message: ToKeeper) -> None:
        """Say one message at once."""
        if not self.lost.is_set() and not self._transport.is_closing():
            self._transport.write(framed(message))

    def serving(self) -> None:
        """Say that connections are taken."""
        self.say(Serving())

    def drained(self) -> None:
        """Say that none are taken any more, after all that was answered."""
        self._flush()
        self.say(Drained())

    @property
    def trust(self) -> Trust:
        """What the node trusts."""
        assert self._trust is not None, "asked before it was ready"
        return self._trust

    @property
    def scope(self) -> Scope:
        """How far the node's replay guard reaches."""
        return self._beat.scope

    @property
    def site(self) -> None:
        """Nothing: only the keeper asks the site."""
        return None

    @property
    def state(self) -> State:
        """How far the node's clock can be believed."""
        return self._beat.clock

    def now_s(self) -> float:
        """Give Unix seconds."""
        return time.time()

    def saw(self, credential_id: bytes, step: int) -> None:
        """Have the node's clock hear a genuine code: when it is heard is what counts."""
        if self._unread:
            self._unseen += 1
            return
        self._saw.append((credential_id, step))
        self._flush_later()

    def check(self) -> None:
        """Insist that the keeper was heard just now, by a wall clock that nobody set since.

        Raises:
            CapacityError: It wasn't, or too much waits for it.
        """
        anchor = anchor_s()
        leapt = abs(time.time() - anchor - self._beat.offset_s) > LEAP_S / 2
        if leapt or anchor - self._heard_s > FRESH_S:
            raise CapacityError("this process waits to hear from its node")
        self._waiting.check()

    def keep(
        self, records: Sequence[VerificationRecord], timings_ms: Mapping[str, float],
        settled: Callable[[Told], None],
    ) -> None:
        """Have judgements of one turn settled; see `edge.pipeline.codes.Keeper`."""
        number = self._waiting.add(len(records), settled)
        self._asked.append(Asked(
            number, [encode_record(record) for record in records], dict(timings_ms)))
        self._flush_soon()

    def settle(self, key: bytes, outcome: Outcome) -> None:
        """Say the answer of a settled judgement."""
        self._answered.append((key, outcome.body))
        self._flush_later()

    def fail(self, key: bytes, error: BaseException) -> None:
        """Say nothing: what came to nothing did so at the keeper, or never came there."""

    def unmade(self, key: bytes, _: Exception) -> None:
        """Leave the answer of a settled judgement to the keeper, which has the record."""
        self._unmade.append(key)
        self._flush_later()

    def call(self, gate_id: str, body: bytes, answered: Passed) -> None:
        """Have the keeper answer a whole call; `answered` is told the bytes of the response.

        Raises:
            CapacityError: It can't.
        """
        self._waiting.check()
        self._passed.append(PassedCall(self._waiting.add_call(answered), gate_id, body))
        self._flush_soon()

    def problem(self, status: int) -> None:
        """Have a call without a verdict counted."""
        self._problems.add(status)
        self._flush_later()

    def refused(self, gate_id: str) -> None:
        """Have a call of a gate beyond its rate counted."""
        self._refused.add(gate_id)
        self._flush_later()

    def _flush_later(self) -> None:
        if self._due is None and not self._unread:
            self._due = self._loop.call_later(LATER_S, self._flush)

    def _flush_soon(self) -> None:
        """Flush behind what this turn of the loop still brings."""
        if not self._at_once and not self._unread:
            self._at_once = True
            if self._due is not None:
                self._due.cancel()
            self._due = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._at_once = False
        self.say(Turn(self._store_number, self._asked, self._answered, self._saw, self._passed,
                      self._problems.take(), self._unmade, self._refused.take()))
        self._asked, self._answered, self._saw, self._passed, self._unmade = [], [], [], [], []

    def _take(self, body: bytes) -> None:
        message = decode_to_worker(body)
        if isinstance(message, Settled):
            self._waiting.take(message)
        elif isinstance(message, Beat):
            self._beat, self._heard_s = message, anchor_s()
            if self._trust is not None:
                self.ready.set()
        elif isinstance(message, TrustTold):
            assert self._store is not None
            self._trust = heard(message, self._trust, self._store.epochs)
        elif isinstance(message, Reopen):
            assert self._store is not None
            if message.store != self._store_number:
                # What is judged from here on is by the new one, what was gathered by the old one.
                self._flush()
                self._store.reopen()
            self._store_number = message.store
        elif not self.welcome.done():
            self.welcome.set_result(message)
