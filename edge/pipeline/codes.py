"""A verification by code alone, in a process beside the one that keeps guard and journal.

- The same rules in the same order as edge.pipeline.verify: a test drives the same cases through
  both. What they share is shared; here is only what the distance between two processes adds.
- The codes of a turn are judged together and handed over together, as the keeper judges its own.
- Nothing is spent here. The keeper spends, journals and remembers the answer in one step
  (edge.pipeline.settling), so that between the three no process can be in the way or die.
- What isn't known here is the keeper's to answer: no verdict of not knowing is given from here.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from edge.hotpath.reasons import Reason
from edge.hotpath.trust import Trust
from edge.hotpath.verdict import verdict
from edge.pipeline.answer import Outcome
from edge.pipeline.calls import VerificationCall
from edge.pipeline.concluding import answer_of
from edge.pipeline.judgement import Judgement, case_of, policy_of
from edge.pipeline.ports import Clock, Reach, Standings
from edge.pipeline.together import GATHER_BESIDE_S, Answered, Asked, Keeps, Remembers, Together
from edge.pipeline.unspent import check_unspent
from edge.protocol.journal import Receipt, VerificationRecord
from edge.protocol.records import GateRecord


class Changed(msgspec.Struct, frozen=True, gc=False):
    """A durable record that was journalled otherwise than it was asked, and where."""

    record: VerificationRecord
    receipt: Receipt


Found = Receipt | Changed | bytes
"""What settling came to: where the record is, as asked or changed; or the answer that the same
request got before."""


class LeftToKeeper(Exception):
    """Only the keeper can answer this call; nothing of it is settled."""


class Keeper(Reach, Keeps[Found], Remembers, Protocol):
    """The process that keeps, as seen from one beside it.

    It spends what is accepted before it keeps, and is told every answer for the same request.
    """


class CodeVerifier:
    """Judges presentations in scenes without a face."""

    def __init__(
        self, *, trust: Callable[[], Trust], clock: Clock, cache: Standings, keeper: Keeper,
        new_id: Callable[[], str], monotonic: Callable[[], float], asks: bool = False,
    ) -> None:
        """Take every port.

        Args:
            trust: Gives what the node trusts now.
            clock: The node's.
            cache: What the node holds.
            keeper: Settles.
            new_id: Gives 32 hex characters.
            monotonic: Gives seconds.
            asks: The keeper asks the platform for what isn't held, also where a card would do.
        """
        self._asks = asks
        self._trust, self._clock, self._cache, self._keeper = trust, clock, cache, keeper
        self._new_id = new_id
        # The keeper observes what it keeps.
        self._together = Together(self, keeper, None, keeper, monotonic, GATHER_BESIDE_S)

    def takes(self, gate: GateRecord, scene: str) -> bool:
        """Tell whether a code of a scene can be judged here."""
        policy = self._trust().policies.get(scene)
        return policy is not None and policy.face == "off" and scene in gate.scenes

    def take(self, call: VerificationCall, answered: Answered) -> None:
        """Answer one `POST /v1/verifications` that `takes`, by calling `answered`.

        It is told `LeftToKeeper` where only the keeper can answer.

        Raises:
            CallError: It has no verdict.
        """
        trust = self._trust()
        policy = policy_of(trust, call.gate, call.scene)
        assert call.presentation is not None
        assert policy.face == "off"
        self._together.add(Asked(
            case_of(call, trust, policy, self._new_id()), call.deadline_s, answered))

    def judge(self, cases: Sequence[Judgement]) -> None:
        """As the keeper judges its own, but that it spends."""
        check_unspent(cases, self._clock, self._cache)
        for case in cases:
            if case.found is None:
                case.found = verdict(Reason.OK)
            if case.found.reason is Reason.CREDENTIAL_UNKNOWN or (case.carried and self._asks):
                case.failed = case.failed or LeftToKeeper()

    def records(self, cases: Sequence[Judgement]) -> list[VerificationRecord]:
        """Give the records of judged cases, as they are if nothing was spent before."""
        clock, keeper = self._clock.state, self._keeper
        return [case.record(case.found, clock, keeper) for case in cases if case.found is not None]

    def outcome(self, case: Judgement, record: VerificationRecord, found: Found) -> Outcome:
        """Give the answer of a case that the keeper settled."""
        if isinstance(found, bytes):
            return Outcome(found)
        if isinstance(found, Changed):
            record, found = found.record, found.receipt
        return answer_of(case, record, found)
