"""Settling what another process of this node judged: spent, journalled and remembered in one step.

- The order is that of edge.pipeline.verify: the gate's pace, the same request again, room in the
  journal, spent, durable, observed. It runs without a pause up to the journal, so two processes
  that ask for the same presentation or the same request are one after the other.
- An accept is never journalled unspent, whatever a process asks for.
- The answer's bytes come back from the process that rendered them; until then the same request
  waits, and if that process dies the answer is made again from the record.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, NamedTuple, Protocol

import msgspec

from edge.hotpath.reasons import Decision, Reason
from edge.hotpath.verdict import verdict
from edge.pipeline.answer import Outcome
from edge.pipeline.answers import CONFLICT, RecentAnswers
from edge.pipeline.calls import CallError, DeadlineMissed, RequestConflict
from edge.pipeline.ports import Observer, ReplayGuard
from edge.protocol.journal import (
    JournalRecord,
    Receipt,
    VerificationRecord,
    decode_record,
    encode_record,
)
from edge.protocol.kh1 import step_at

_LOG = logging.getLogger(__name__)
_REPLAYED = verdict(Reason.PRESENTATION_REPLAYED)


class EncodedJournal(Protocol):
    """The journal, for records that are encoded already; see the pipeline's port."""

    def check(self) -> None:
        """Insist that a record could be promised now."""
        ...

    def append_encoded(self, data: bytes) -> "asyncio.Future[Receipt]":
        """Append; the receipt is there when the record is durable."""
        ...


class Asker(Protocol):
    """Who asked: one line to another process. Its calls raise nothing."""

    @property
    def lost(self) -> bool:
        """Whether nobody hears an answer any more."""
        ...

    def kept(self, number: int, receipt: Receipt, record: bytes) -> None:
        """Say that the record is durable; `record` is empty if it is as it was asked."""
        ...

    def given(self, number: int, answer: bytes) -> None:
        """Say the answer that the same request got before."""
        ...

    def refused(self, number: int, error: Exception) -> None:
        """Say what it came to instead."""
        ...


class Unanswered(msgspec.Struct, frozen=True, gc=False):
    """A settled judgement whose answer's bytes are still to come."""

    record: VerificationRecord
    receipt: Receipt


class _Case(NamedTuple):
    """One judgement on its way: who asked, what, and since when."""

    asker: Asker
    number: int
    record: VerificationRecord
    data: bytes
    timings_ms: Mapping[str, float]
    begun: float


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
        self._unanswered: dict[tuple[Asker, int], Unanswered] = {}

    def settle(
        self, asker: Asker, number: int, data: bytes, timings_ms: Mapping[str, float]
    ) -> None:
        """Settle one judgement; `asker` hears what came of it."""
        try:
            record = _verification(decode_record(data))
            self._pace(record.gate_id)
            found = self._answers.claim(record.request_digest, record.body_digest)
            if isinstance(found, bytes):
                asker.given(number, found)
            elif found is not None:
                found.add_done_callback(lambda done: _pass_on(done, asker, number))
            else:
                self._begin(
                    _Case(asker, number, record, data, timings_ms, time.perf_counter()))
        except Exception as error:
            _told(asker, number, error)

    def answered(self, asker: Asker, number: int, answer: bytes) -> None:
        """Remember the answer of a settled judgement."""
        item = self._unanswered.pop((asker, number), None)
        if item is not None:
            self._answers.settle(item.record.request_digest, Outcome(answer))
            if self._answers.shared is not None:
                self._answers.shared.keep(
                    item.record.request_digest, item.record.body_digest + answer)

    def forget(self, asker: Asker) -> None:
        """Make what a process that is gone has left answerable from the records."""
        for key in [key for key in self._unanswered if key[0] is asker]:
            item = self._unanswered.pop(key)
            self._answers.settle(item.record.request_digest, (item.record, item.receipt))

    def _begin(self, case: "_Case") -> None:
        try:
            if self._answers.shared is None and self._guard.site is None:
                self._append(case, self._spent(case.record))
                return
            task = asyncio.get_running_loop().create_task(self._begin_at_site(case))
        except BaseException as error:
            self._answers.fail(case.record.request_digest, error)
            raise
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _begin_at_site(self, case: "_Case") -> None:
        """As a node on its own, but the site is asked for the answer, and about the spend."""
        record, shared = case.record, self._answers.shared
        try:
            found = None if shared is None else await shared.find(record.request_digest)
            if found is None:
                self._append(case, await self._spent_at_site(self._spent(record)))
                return
            digest, answer = found[: len(record.body_digest)], found[len(record.body_digest) :]
            if digest != record.body_digest:
                raise RequestConflict(CONFLICT)
            self._answers.settle(record.request_digest, Outcome(answer))
            case.asker.given(case.number, answer)
        except BaseException as error:
            self._answers.fail(record.request_digest, error)
            if not isinstance(error, Exception):
                raise
            _told(case.asker, case.number, error)

    async def _spent_at_site(self, record: VerificationRecord) -> VerificationRecord:
        site = self._guard.site
        if site is None or record.decision != Decision.ACCEPT._value_:
            return record
        assert record.credential_id is not None
        assert record.step is not None
        found = await site.spend(record.credential_id, record.step, record.request_digest)
        record = _with_scope(record, "node" if found == "node" else "site")
        return _replayed(record) if found == "spent" else record

    def _append(self, case: "_Case", settled: VerificationRecord) -> None:
        changed = b"" if settled is case.record else encode_record(settled)
        durable = self._journal.append_encoded(changed or case.data)
        durable.add_done_callback(partial(self._durable, case, settled, changed))

    def _durable(
        self, case: "_Case", settled: VerificationRecord, changed: bytes,
        durable: "asyncio.Future[Receipt]",
    ) -> None:
        error = _error_of(durable)
        if error is not None:
            self._answers.fail(settled.request_digest, error)
            _told(case.asker, case.number, error)
            return
        receipt = durable.result()
        took_ms = (time.perf_counter() - case.begun) * 1e3
        self._observer.observed(settled, {**case.timings_ms, "journal": took_ms})
        if case.asker.lost:
            self._answers.settle(settled.request_digest, (settled, receipt))
        else:
            self._unanswered[case.asker, case.number] = Unanswered(settled, receipt)
            case.asker.kept(case.number, receipt, changed)

    def _spent(self, record: VerificationRecord) -> VerificationRecord:
        """Spend the presentation of an accept; give the record as it is to be journalled."""
        # Nothing is spent that couldn't be recorded.
        self._journal.check()
        if record.decision == Decision.ACCEPT._value_:
            if record.reason != Reason.OK._value_ or record.face is not None:
                raise RuntimeError("only a code alone is accepted beside the keeper")
            assert record.credential_id is not None
            assert record.step is not None
            (fresh,) = self._guard.spend_all(
                [(record.credential_id, record.step, record.request_digest)],
                step_at(record.at_ms / 1e3))
            return _with_scope(record if fresh else _replayed(record), self._guard.scope)
        site = self._guard.site
        return _with_scope(record, self._guard.scope if site is None else site.scope)


def _replayed(record: VerificationRecord) -> VerificationRecord:
    return msgspec.structs.replace(
        record, decision=_REPLAYED.decision._value_, reason=_REPLAYED.reason._value_, disclosed=())


def _with_scope(record: VerificationRecord, scope: Literal["node", "site"]) -> VerificationRecord:
    """Say how far the code was spent, which the process that judged it can't know."""
    if record.evidence.replay_scope == scope:
        return record
    return msgspec.structs.replace(
        record, evidence=msgspec.structs.replace(record.evidence, replay_scope=scope))


def _verification(record: JournalRecord) -> VerificationRecord:
    if not isinstance(record, VerificationRecord):
        raise RuntimeError("only verifications are settled")
    return record


def _pass_on(done: "asyncio.Future[Outcome]", asker: Asker, number: int) -> None:
    """Tell the answer that another process was working on."""
    error = _error_of(done)
    if error is None:
        asker.given(number, done.result().body)
    else:
        _told(asker, number, error)


def _error_of(done: "asyncio.Future[Outcome] | asyncio.Future[Receipt]") -> Exception | None:
    if done.cancelled():
        return DeadlineMissed("the answer was given up on: ask again with the same request_id")
    error = done.exception()
    if error is None or isinstance(error, Exception):
        return error
    return RuntimeError("the node is ending")


def _told(asker: Asker, number: int, error: Exception) -> None:
    if not isinstance(error, CallError):
        _LOG.warning("settling.failed", extra={"kind": type(error).__name__})
    asker.refused(number, error)
