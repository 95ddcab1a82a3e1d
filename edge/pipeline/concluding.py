"""The last two steps of a judgement: its record is durable, and only then its answer leaves."""

from edge.hotpath.verdict import Verdict
from edge.pipeline.answer import Outcome, encode_answer
from edge.pipeline.judgement import Judgement
from edge.pipeline.ports import Clock, Journal, Observer, ReplayGuard
from edge.pipeline.render import render
from edge.protocol.journal import Receipt, VerificationRecord


def answer_of(case: Judgement, record: VerificationRecord, receipt: Receipt) -> Outcome:
    """Give the answer of a case whose record is durable."""
    return Outcome(
        encode_answer(render(record, receipt, case.credential, case.policy)), case.timings_ms)


class Concluder:
    """Takes the last two steps of a judgement."""

    def __init__(
        self, *, clock: Clock, guard: ReplayGuard, journal: Journal, observer: Observer
    ) -> None:
        """Take the ports."""
        self._clock, self._guard = clock, guard
        self._journal, self._observer = journal, observer

    async def conclude(self, case: Judgement, found: Verdict) -> Outcome:
        """Journal a verdict and give its answer.

        Raises:
            OperatingError: The record can't be promised.
        """
        record = case.record(found, self._clock.state, self._guard)
        receipt = await self._journal.append(record)
        case.end("journal")
        self._observer.observed(record, case.timings_ms)
        return answer_of(case, record, receipt)
