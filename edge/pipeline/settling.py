"""Settling what another process of this node judged: spent, journalled and remembered in one step.

- The order is that of edge.pipeline.verify: the gate's pace, the same request again, room in the
  journal, spent, durable, observed. It runs without a pause up to the journal, so two processes
  that ask for the same presentation or the same request are one after the other.
- What was judged together is settled together: one spend of all, one hand-over to the journal. What
  waits for somebody is settled by itself, and nothing waits for it.
- The answer's bytes come back from the process that rendered them; until then the same request
  waits, and if that process dies the answer is made again from the record.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from edge.pipeline.answer import Outcome
from edge.pipeline.answers import CONFLICT, RecentAnswers
from edge.pipeline.calls import CallError, DeadlineMissed, RequestConflict
from edge.pipeline.observing import observed
from edge.pipeline.ports import Observer, ReplayGuard, Settled
from edge.pipeline.spending import settleable, spent_at_site, spent_of
from edge.protocol.journal import Receipt, VerificationRecord, decode_record, encode_record

_LOG = logging.getLogger(__name__)


class EncodedJournal(Protocol):
    """The journal, for records that are encoded already; see the pipeline's port."""

    def check(self) -> None:
        """Insist that a record could be promised now."""
        ...

    def append_all_encoded(self, records: Sequence[bytes], settled: Settled) -> None:
        """Append together; `settled` is told on the event loop when they are durable."""
        ...


class Asker(Protocol):
    """Who asked: one line to another process. Its calls raise nothing.

    `number` is that of judgements that were asked together, `at` the place of one among them.
    """

    @property
    def lost(self) -> bool:
        """Whether nobody hears an answer any more."""
        ...

    def kept(
        self, number: int, at: Sequence[int], receipts: Sequence[Receipt],
        changed: Mapping[int, bytes],
    ) -> None:
        """Say that records are durable; `changed` holds those that aren't as they were asked."""
        ...

    def given(self, number: int, at: int, answer: bytes) -> None:
        """Say the answer that the same request got before."""
        ...

    def refused(self, number: int, at: int, error: Exception) -> None:
        """Say what it came to instead."""
        ...


class Unanswered(msgspec.Struct, frozen=True, gc=False):
    """A settled judgement whose answer's bytes are still to come."""

    record: VerificationRecord
    receipt: Receipt


class _Turn(NamedTuple):
    """Judgements that were asked together: by whom, and since when."""

    asker: Asker
    number: int
    timings_ms: Mapping[str, float]
    begun: float


class _Case(NamedTuple):
    """One of them on its way: its place, and the record as asked."""

    at: int
    record: VerificationRecord
    data: bytes


class Settler:
    """Settles judgements; lives at the keeper."""

    def __init__(
        self, *, answers: RecentAnswers, guard: ReplayGuard, journal: EncodedJournal,
        observer: Observer, pace: Callable[[str], None]
    ) -> None:
        """Take the node's parts.

        Args:
            answers: Of the node.
            guard: The node's own.
            journal: The node's.
            observer: Is told of every answer that is durable.
            pace: Counts a call of a gate, or raises.
        """
        self._asking: set[asyncio.Task[None]] = set()
        self._answers, self._guard, self._journal = answers, guard, journal
        self._observer, self._pace = observer, pace
        self._unanswered: dict[tuple[Asker, bytes], Unanswered] = {}

    def settle(
        self, asker: Asker, number: int, records: Sequence[bytes],
        timings_ms: Mapping[str, float],
    ) -> None:
        """Settle judgements of one turn; `asker` hears what came of each."""
        turn = _Turn(asker, number, timings_ms, time.perf_counter())
        cases: list[_Case] = []
        for at, data in enumerate(records):
            try:
                record = settleable(decode_record(data))
                self._pace(record.gate_id)
                found = self._answers.claim(record.request_digest, record.body_digest)
            except Exception as error:
                _told(turn, at, error)
                continue
            if isinstance(found, bytes):
                asker.given(number, at, found)
            elif found is not None:
                found.add_done_callback(partial(_pass_on, turn, at))
            else:
                cases.append(_Case(at, record, data))
        if not cases:
            return
        if self._answers.shared is None and self._guard.site is None:
            self._begin(turn, cases)
            return
        for case in cases:
            task = asyncio.get_running_loop().create_task(self._begin_at_site(turn, case))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    def answered(self, asker: Asker, key: bytes, answer: bytes) -> None:
        """Remember the answer of a settled judgement, by its request's key."""
        item = self._unanswered.pop((asker, key), None)
        if item is not None:
            self._answers.settle(key, Outcome(answer))
            if self._answers.shared is not None:
                self._answers.shared.keep(key, item.record.body_digest + answer)

    def unmade(self, asker: Asker, key: bytes) -> None:
        """Make a settled judgement answerable from its record: its process can't."""
        item = self._unanswered.pop((asker, key), None)
        if item is not None:
            self._answers.settle(key, (item.record, item.receipt))

    def forget(self, asker: Asker) -> None:
        """Make what a process that is gone has left answerable from the records."""
        for _, key in [key for key in self._unanswered if key[0] is asker]:
            self.unmade(asker, key)

    def _begin(self, turn: _Turn, cases: Sequence[_Case]) -> None:
        try:
            # Nothing is spent that couldn't be recorded.
            self._journal.check()
            records = [case.record for case in cases]
            self._append(turn, cases, spent_of(records, self._guard))
        except BaseException as error:
            for case in cases:
                self._fail(turn, case, error)
            if not isinstance(error, Exception):
                raise

    async def _begin_at_site(self, turn: _Turn, case: _Case) -> None:
        """As a node on its own, but the site is asked for the answer, and about the spend."""
        record, shared = case.record, self._answers.shared
        try:
            found = None if shared is None else await shared.find(record.request_digest)
            if found is None:
                self._journal.check()
                (spent,) = spent_of([record], self._guard)
                self._append(turn, [case], [await spent_at_site(spent, self._guard.site)])
                return
            digest, answer = found[: len(record.body_digest)], found[len(record.body_digest) :]
            if digest != record.body_digest:
                raise RequestConflict(CONFLICT)
            self._answers.settle(record.request_digest, Outcome(answer))
            turn.asker.given(turn.number, case.at, answer)
        except BaseException as error:
            self._fail(turn, case, error)
            if not isinstance(error, Exception):
                raise

    def _fail(self, turn: _Turn, case: _Case, error: BaseException) -> None:
        self._answers.fail(case.record.request_digest, error)
        if isinstance(error, Exception):
            _told(turn, case.at, error)

    def _append(
        self, turn: _Turn, cases: Sequence[_Case], settled: Sequence[VerificationRecord]
    ) -> None:
        changed = {case.at: encode_record(record)
                   for case, record in zip(cases, settled, strict=True)
                   if record is not case.record}
        self._journal.append_all_encoded(
            [changed.get(case.at, case.data) for case in cases],
            partial(self._durable, turn, cases, settled, changed))

    def _durable(
        self, turn: _Turn, cases: Sequence[_Case], settled: Sequence[VerificationRecord],
        changed: Mapping[int, bytes], found: Sequence[Receipt | Exception],
    ) -> None:
        took_ms = (time.perf_counter() - turn.begun) * 1e3
        found = observed(
            self._observer, settled, found, {**turn.timings_ms, "journal": took_ms})
        places, receipts = list[int](), list[Receipt]()
        for case, record, receipt in zip(cases, settled, found, strict=True):
            if not isinstance(receipt, Receipt):
                self._fail(turn, case, receipt)
            elif turn.asker.lost:
                self._answers.settle(record.request_digest, (record, receipt))
            else:
                self._unanswered[turn.asker, record.request_digest] = Unanswered(record, receipt)
                places.append(case.at)
                receipts.append(receipt)
        if places:
            turn.asker.kept(turn.number, places, receipts, changed)


def _pass_on(turn: _Turn, at: int, done: "asyncio.Future[Outcome]") -> None:
    """Tell the answer that another process was working on."""
    error = _error_of(done)
    if error is None:
        turn.asker.given(turn.number, at, done.result().body)
    else:
        _told(turn, at, error)


def _error_of(done: "asyncio.Future[Outcome]") -> Exception | None:
    if done.cancelled():
        return DeadlineMissed("the answer was given up on: ask again with the same request_id")
    error = done.exception()
    if error is None or isinstance(error, Exception):
        return error
    return RuntimeError("the node is ending")


def _told(turn: _Turn, at: int, error: Exception) -> None:
    if not isinstance(error, CallError):
        _LOG.warning("settling.failed", extra={"kind": type(error).__name__})
    turn.asker.refused(turn.number, at, error)
