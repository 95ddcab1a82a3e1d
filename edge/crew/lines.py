"""The keeper's end of the workers' lines, and what is told to all of them.

- What comes up in one turn of the event loop goes out as one frame.
- A worker is told a trust by what it doesn't hold yet; keys aren't told, it reads them from the
  sealed store.
- Judgements by a store that was replaced aren't settled.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec

from edge.clock.kernel import anchor_s
from edge.crew.telling import told
from edge.crew.words import (
    FRAME_BYTES_MAX,
    Beat,
    Drained,
    Given,
    Hello,
    Kept,
    Refused,
    Reopen,
    Scope,
    Serving,
    Settled,
    State,
    StoreReplaced,
    ToWorker,
    Turn,
    Welcome,
    decode_to_keeper,
    framed,
    refusal,
)
from edge.errors import CapacityError
from edge.hotpath.trust import Trust
from edge.pipeline.settling import Settler
from edge.protocol.journal import Receipt

BEAT_S = 0.5
UNHEARD_BYTES_MAX = 2 * FRAME_BYTES_MAX
"""A worker that left so much unread hears nothing any more; a whole trust is always less."""
_LOG = logging.getLogger(__name__)


class KeeperClock(Protocol):
    """What lines need of the node's clock."""

    def now_s(self) -> float:
        """Give Unix seconds."""
        ...

    @property
    def state(self) -> State:
        """How far that can be believed."""
        ...

    def saw(self, credential_id: bytes, step: int) -> None:
        """Hear a genuine code."""
        ...


class KeeperParts(msgspec.Struct, frozen=True, kw_only=True):
    """What of the node the workers' lines lead to.

    Attributes:
        settler: Settles judgements.
        call: Answers a whole call of a gate: its id and body to the bytes of a response.
        clock: The node's.
        scope: How far the replay guard reaches now.
        problem: Counts calls without a verdict: their status, and how many.
        refused: Counts calls of a gate beyond its rate that a worker refused by itself.
    """

    settler: Settler
    call: Callable[[str, bytes], Coroutine[None, None, bytes]]
    clock: KeeperClock
    scope: Callable[[], Scope]
    problem: Callable[[int, int], None]
    refused: Callable[[str, int], None]


class Line:
    """One worker's line. Implements `edge.pipeline.settling.Asker`."""

    def __init__(self, transport: asyncio.Transport, lines: "Lines", slot: int) -> None:
        """Take over a connection that said what it is."""
        self._transport, self._lines, self.slot = transport, lines, slot
        self._kept: list[Kept] = []
        self._given: list[Given] = []
        self._refused: list[Refused] = []
        self._due = False
        self._calls: set[asyncio.Task[bytes]] = set()
        self._told: Trust | None = None
        self.lost = self.serving = False
        self.drained = asyncio.Event()

    def say(self, message: ToWorker) -> None:
        """Say one message at once."""
        if self.lost:
            return
        self._transport.write(framed(message))
        if self._transport.get_write_buffer_size() > UNHEARD_BYTES_MAX:
            _LOG.error("worker.deaf", extra={"slot": self.slot})
            self.lost = True
            self._transport.abort()

    def kept(
        self, number: int, at: Sequence[int], receipts: Sequence[Receipt],
        changed: Mapping[int, bytes],
    ) -> None:
        """Say that records are durable."""
        self._kept.append(Kept(number, at, receipts, changed))
        self._flush_soon()

    def given(self, number: int, at: int, answer: bytes) -> None:
        """Say an answer, or a response, that is there."""
        self._given.append(Given(number, at, answer))
        self._flush_soon()

    def refused(self, number: int, at: int, error: Exception) -> None:
        """Say what it came to instead."""
        self._refused.append(refusal(number, at, error))
        self._flush_soon()

    def take(self, body: bytes) -> None:
        """Take one frame of the worker.

        Raises:
            msgspec.MsgspecError: It isn't one of ours.
        """
        message = decode_to_keeper(body)
        if isinstance(message, Turn):
            self._take_turn(message)
        elif isinstance(message, Serving):
            self.serving = True
        elif isinstance(message, Drained):
            self.serving = False
            self.drained.set()
            self._lines.drained(self)

    def close(self) -> None:
        """End the line; the worker ends with it."""
        self._transport.close()

    def lose(self) -> None:
        """Take note that the worker is gone."""
        self.lost, self.serving = True, False
        self.drained.set()
        self._lines.parts.settler.forget(self)

    def tell(self, trust: Trust) -> None:
        """Tell a trust, by what the worker doesn't hold."""
        self.say(told(trust, self._told))
        self._told = trust

    def _take_turn(self, turn: Turn) -> None:
        parts = self._lines.parts
        for key, answer in turn.answered:
            parts.settler.answered(self, key, answer)
        for key in turn.unmade:
            parts.settler.unmade(self, key)
        for credential_id, step in turn.saw:
            parts.clock.saw(credential_id, step)
        for asked in turn.asked:
            if turn.store == self._lines.store:
                parts.settler.settle(self, asked.number, asked.records, asked.timings_ms)
                continue
            for at in range(len(asked.records)):
                self.refused(asked.number, at, StoreReplaced(
                    "the store was replaced meanwhile: ask again with the same request_id"))
        for passed in turn.passed:
            task = asyncio.get_running_loop().create_task(
                parts.call(passed.gate_id, passed.body))
            self._calls.add(task)
            task.add_done_callback(partial(self._called, passed.number))
        for status, calls in turn.problems.items():
            parts.problem(status, calls)
        for gate_id, calls in turn.refused.items():
            parts.refused(gate_id, calls)

    def _called(self, number: int, task: "asyncio.Task[bytes]") -> None:
        self._calls.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            _LOG.error("worker.call_failed", exc_info=error)
            self.refused(number, 0, error)
        elif error is not None or task.cancelled():
            self.refused(number, 0, CapacityError("the node is ending"))
        else:
            self.given(number, 0, task.result())

    def _flush_soon(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._due = False
        self.say(Settled(self._kept, self._given, self._refused))
        self._kept, self._given, self._refused = [], [], []


class Lines:
    """The lines of all workers.

    Attributes:
        parts: What they lead to.
        store: Which opening of the store judgements must be by.
    """

    def __init__(self, parts: KeeperParts, trust: Callable[[], Trust]) -> None:
        """Begin without a worker; `trust` gives what the node trusts now."""
        self.parts, self.store = parts, 0
        self._trust = trust
        self._all: set[Line] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._welcome: Welcome | None = None
        self._ending = False

    @property
    def serving(self) -> int:
        """How many workers take connections."""
        return sum(line.serving for line in self._all)

    def start(self, welcome: Welcome) -> None:
        """Begin to welcome workers."""
        self._welcome = welcome
        self._beat()

    def opened(self, transport: asyncio.Transport, hello: Hello) -> Line:
        """Welcome a worker."""
        assert self._welcome is not None
        line = Line(transport, self, hello.slot)
        self._all.add(line)
        for message in (self._welcome, Reopen(self.store), self._now()):
            line.say(message)
        line.tell(self._trust())
        return line

    def lost(self, line: Line) -> None:
        """Let go of a worker that is gone."""
        self._all.discard(line)
        line.lose()

    def drained(self, line: Line) -> None:
        """Let a worker go that ends by itself; while all end, its connections end first."""
        if not self._ending:
            line.close()

    def publish(self, trust: Trust) -> None:
        """Tell all workers a new trust."""
        for line in self._all:
            line.tell(trust)

    def reopen_store(self, store: int) -> None:
        """Have all workers open the store anew: it is another one now."""
        self.store = store
        for line in self._all:
            line.say(Reopen(self.store))

    async def drain(self, within_s: float) -> None:
        """Wait until no worker has a call of its own any more."""
        self._ending = True
        waits = [asyncio.ensure_future(line.drained.wait()) for line in self._all]
        if waits:
            _, late = await asyncio.wait(waits, timeout=within_s)
            for wait in late:
                wait.cancel()

    def close(self) -> None:
        """End all lines."""
        if self._timer is not None:
            self._timer.cancel()
        for line in list(self._all):
            line.close()

    def _beat(self) -> None:
        # First the next one: without beats every worker would refuse for ever.
        self._timer = asyncio.get_running_loop().call_later(BEAT_S, self._beat)
        beat = self._now()
        for line in self._all:
            line.say(beat)

    def _now(self) -> Beat:
        clock = self.parts.clock
        return Beat(clock.state, clock.now_s() - anchor_s(), self.parts.scope())
