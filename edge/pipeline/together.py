"""Calls that are a code alone and came in one turn of the event loop, answered together.

- Each step is done for all of them before the next is begun, so what a step needs stays in the
  processor's caches; reading, spending and handing over cost once a turn.
- No task and no future a call: who asked is told by a call of his own.
- What goes wrong with one is told to that one; what goes wrong with all, to all.
- The steps are edge.pipeline.verify's, the same as of any call; nothing is decided here.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from edge.errors import JournalError
from edge.pipeline.answer import Outcome
from edge.pipeline.answers import RecentAnswers, in_time
from edge.pipeline.judgement import Judgement
from edge.pipeline.ports import Journal, Observer
from edge.protocol.journal import Receipt, VerificationRecord

TURN_MAX = 16
"""Calls that are judged together at most: the next of a turn are judged while the journal
flushes these."""
Answered = Callable[[Outcome | Exception], None]


class Steps(Protocol):
    """What is done with the cases of a turn; what fails is put into its case."""

    def judge(self, cases: Sequence[Judgement]) -> None:
        """Give each case its verdict."""
        ...

    def records(self, cases: Sequence[Judgement]) -> list[VerificationRecord]:
        """Give the records of judged cases."""
        ...

    def outcome(
        self, case: Judgement, record: VerificationRecord, receipt: Receipt
    ) -> Outcome:
        """Give the answer of a case whose record is durable."""
        ...


class Asked(msgspec.Struct, gc=False):
    """One call of a turn.

    Attributes:
        case: What it becomes.
        deadline_s: Monotonic; no answer leaves after it.
        answered: Is told the answer, or why there is none.
    """

    case: Judgement
    deadline_s: float
    answered: Answered


class Together:
    """Gathers the calls of a turn and answers them."""

    def __init__(
        self, steps: Steps, journal: Journal, observer: Observer, answers: RecentAnswers,
        monotonic: Callable[[], float],
    ) -> None:
        """Take the steps and the ports that a turn needs beside them."""
        self._steps, self._journal, self._observer = steps, journal, observer
        self._answers, self._monotonic = answers, monotonic
        self._asked: list[Asked] = []

    def add(self, asked: Asked) -> None:
        """Take a call into the present turn."""
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._turn)
        self._asked.append(asked)
        if len(self._asked) >= TURN_MAX:
            self._turn()

    def _turn(self) -> None:
        asked, self._asked = self._asked, []
        if not asked:
            return
        timings_ms: dict[str, float] = {}
        cases = [one.case for one in asked]
        for case in cases:
            case.timings_ms = timings_ms
        try:
            # Nothing is begun, let alone spent, that couldn't be recorded.
            self._journal.check()
            self._steps.judge(cases)
            judged = [one for one in asked if one.case.failed is None]
            if judged:
                records = self._steps.records([one.case for one in judged])
                self._journal.append_all(records, partial(self._settled, judged, records))
        except Exception as error:
            for one in asked:
                one.case.failed = one.case.failed or error
        for one in asked:
            if one.case.failed is not None:
                self._fail(one, one.case.failed)

    def _settled(
        self, asked: Sequence[Asked], records: Sequence[VerificationRecord],
        found: Sequence[Receipt | JournalError],
    ) -> None:
        """Answer what is durable."""
        first = asked[0].case
        first.end("journal")
        now_s = self._monotonic()
        durable = [record for record, receipt in zip(records, found, strict=True)
                   if isinstance(receipt, Receipt)]
        if durable:
            self._observer.observed_all(durable, first.timings_ms)
        outcome = self._steps.outcome
        given: list[Outcome | Exception] = []
        for one, record, receipt in zip(asked, records, found, strict=True):
            try:
                given.append(outcome(one.case, record, receipt)
                             if isinstance(receipt, Receipt) else receipt)
            except Exception as error:
                given.append(error)
        for one, item in zip(asked, given, strict=True):
            if isinstance(item, Exception):
                self._fail(one, item)
            else:
                self._answer(one, item, now_s)

    def _answer(self, one: Asked, outcome: Outcome, now_s: float) -> None:
        self._answers.settle(one.case.request_digest, outcome)
        try:
            in_time(outcome, one.deadline_s, now_s)
        except Exception as error:
            one.answered(error)
        else:
            one.answered(outcome)

    def _fail(self, one: Asked, error: Exception) -> None:
        self._answers.fail(one.case.request_digest, error)
        one.answered(error)
