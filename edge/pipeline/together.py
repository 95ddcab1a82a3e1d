"""Calls that are a code alone and came in one turn of the event loop, answered together.

- Each step is done for all of them before the next is begun, so what a step needs stays in the
  processor's caches; reading, spending and handing over cost once a turn.
- No task and no future a call: who asked is told by a call of his own.
- What goes wrong with one is told to that one; what goes wrong with all, to all.
- What is settled of a turn is answered; nothing of it waits for what isn't.
- Turns gather: a call waits for others, but only while calls are being settled or just were, and no
  longer than until as many are there as were under way at once lately.
- The steps are edge.pipeline.verify's, the same as of any call, or those of a process beside the
  one that keeps (edge.pipeline.codes); nothing is decided here.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic, Protocol, TypeVar

import msgspec

from edge.pipeline.answer import Outcome
from edge.pipeline.answers import in_time
from edge.pipeline.judgement import Judgement
from edge.pipeline.observing import observed
from edge.pipeline.ports import Journal, Observer
from edge.protocol.journal import Receipt, VerificationRecord

_Found = TypeVar("_Found")
_Found_contra = TypeVar("_Found_contra", contravariant=True)
_Found_co = TypeVar("_Found_co", covariant=True)

TURN_MAX = 16
"""Calls that are judged together at most: the next of a turn are judged while the journal
flushes these."""
GATHER_S, GATHER_BESIDE_S = 0.001, 0.002
"""How long calls gather at most, in one process and where several share the cores: fewer and larger
turns and flushes cost less, most of all where each turn finds the caches cold."""
Answered = Callable[[Outcome | Exception], None]


class Steps(Protocol[_Found_contra]):
    """What is done with the cases of a turn; what fails is put into its case."""

    def judge(self, cases: Sequence[Judgement]) -> None:
        """Give each case its verdict."""
        ...

    def records(self, cases: Sequence[Judgement]) -> list[VerificationRecord]:
        """Give the records of judged cases."""
        ...

    def outcome(
        self, case: Judgement, record: VerificationRecord, found: _Found_contra
    ) -> Outcome:
        """Give the answer of a case that is settled."""
        ...


class Keeps(Protocol[_Found_co]):
    """Where the records of a turn become durable."""

    def check(self) -> None:
        """Insist that a record could be promised now."""
        ...

    def keep(
        self, records: Sequence[VerificationRecord], timings_ms: Mapping[str, float],
        settled: "Callable[[Sequence[_Found_co | Exception | None]], None]",
    ) -> None:
        """Have records made durable; `settled` is told on the event loop what became of each.

        It may be told in parts: None is what it hears of later.

        Raises:
            OperatingError: They can't be promised; then `settled` isn't called.
        """
        ...


class Remembers(Protocol):
    """Takes note of what the calls of a turn came to, by their request's key."""

    def settle(self, key: bytes, outcome: Outcome) -> None:
        """It is answered."""
        ...

    def fail(self, key: bytes, error: BaseException) -> None:
        """It came to nothing."""
        ...

    def unmade(self, key: bytes, error: Exception) -> None:
        """Its record is durable, but no answer could be made of it."""
        ...


class AtJournal:
    """Keeps records in this process's own journal. Implements `Keeps`."""

    def __init__(self, journal: Journal) -> None:
        """Take the journal."""
        self._journal = journal
        self.check = journal.check

    def keep(
        self, records: Sequence[VerificationRecord], _: Mapping[str, float],
        settled: Callable[[Sequence[Receipt | Exception | None]], None],
    ) -> None:
        """Append them together."""
        self._journal.append_all(records, settled)


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


class Together(Generic[_Found]):
    """Gathers the calls of a turn and answers them.

    Attributes:
        gather_s: How long calls gather at most; 0 = no longer than a turn of the event loop.
    """

    def __init__(
        self, steps: Steps[_Found], keeps: Keeps[_Found], observer: Observer | None,
        answers: Remembers, monotonic: Callable[[], float], gather_s: float,
    ) -> None:
        """Take the steps and what a turn needs beside them.

        Args:
            steps, keeps, answers: As they are called.
            observer: None = nothing is to be observed here.
            monotonic: Gives seconds.
            gather_s: See above.
        """
        self._steps, self._keeps, self._observer = steps, keeps, observer
        self._answers, self._monotonic = answers, monotonic
        self._asked: list[Asked] = []
        self.gather_s = gather_s
        self._gathering, self._settling, self._settled_s = False, 0, float("-inf")
        # Calls that were under way at once; forgotten by one a turn.
        self._most = 0
        self._due: asyncio.Handle | None = None

    def add(self, asked: Asked) -> None:
        """Take a call into the present turn."""
        if not self._asked:
            loop = asyncio.get_running_loop()
            self._gathering = self.gather_s > 0.0 and (
                self._settling > 0 or loop.time() - self._settled_s < self.gather_s)
            self._due = (loop.call_later(self.gather_s, self._turn) if self._gathering
                         else loop.call_soon(self._turn))
        self._asked.append(asked)
        if len(self._asked) >= TURN_MAX:
            self._turn()
        elif self._gathering:
            self._gather_no_more()

    def _gather_no_more(self) -> None:
        """Answer what is gathered if all are there who were under way lately."""
        if self._due is not None and not self._settling and len(self._asked) >= self._most:
            self._due.cancel()
            self._gathering = False
            # Not at once: what this turn of the event loop still brings comes along.
            self._due = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        asked, self._asked = self._asked, []
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._gathering = False
        if not asked:
            return
        self._most = max(len(asked) + self._settling, self._most - 1)
        timings_ms: dict[str, float] = {}
        cases = [one.case for one in asked]
        for case in cases:
            case.timings_ms = timings_ms
        try:
            # Nothing is begun, let alone spent, that couldn't be recorded.
            self._keeps.check()
            self._steps.judge(cases)
            judged = [one for one in asked if one.case.failed is None]
            if judged:
                records = self._steps.records([one.case for one in judged])
                self._keeps.keep(
                    records, timings_ms, partial(self._settled, judged, records))
                self._settling += len(judged)
        except Exception as error:
            for one in asked:
                one.case.failed = one.case.failed or error
        for one in asked:
            if one.case.failed is not None:
                self._fail(one, one.case.failed)

    def _settled(
        self, asked: Sequence[Asked], records: Sequence[VerificationRecord],
        found: Sequence[_Found | Exception | None],
    ) -> None:
        """Answer what is settled."""
        first = asked[0].case
        timings_ms = {
            **first.timings_ms, "journal": (time.perf_counter() - first.mark) * 1e3}
        now_s = self._monotonic()
        if self._observer is not None:
            found = observed(self._observer, records, found, timings_ms)
        outcome = self._steps.outcome
        given: list[tuple[Asked, Outcome | Exception]] = []
        unmade: list[tuple[Asked, Exception]] = []
        for one, record, item in zip(asked, records, found, strict=True):
            if item is None:
                continue
            one.case.timings_ms = timings_ms
            try:
                given.append((one, item if isinstance(item, Exception)
                              else outcome(one.case, record, item)))
            except Exception as error:
                unmade.append((one, error))
        for one, came in given:
            if isinstance(came, Exception):
                self._fail(one, came)
            else:
                self._answer(one, came, now_s)
        for one, why in unmade:
            self._answers.unmade(one.case.request_digest, why)
            one.answered(why)
        self._settling -= len(given) + len(unmade)
        self._settled_s = asyncio.get_running_loop().time()
        if self._gathering:
            self._gather_no_more()

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
