"""A verification by code alone, in a process beside the one that keeps guard and journal.

- The same rules in the same order as edge.pipeline.verify: a test drives the same cases through
  both. What they share is shared; here is only what the distance between two processes adds.
- Nothing is spent here. The keeper spends, journals and remembers the answer in one step
  (edge.pipeline.settling), so that between the three no process can be in the way or die.
- What isn't known here is the keeper's to answer: no verdict of not knowing is given from here.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from edge.hotpath.reasons import Reason
from edge.hotpath.trust import Trust
from edge.hotpath.verdict import verdict
from edge.pipeline.answer import Outcome, encode_answer
from edge.pipeline.answers import in_time
from edge.pipeline.calls import VerificationCall
from edge.pipeline.carried import check_credentials
from edge.pipeline.judgement import case_of, policy_of, undecided
from edge.pipeline.ports import Clock, Reach, Standings
from edge.pipeline.render import render
from edge.pipeline.timely import check_codes
from edge.protocol.journal import Receipt, VerificationRecord
from edge.protocol.records import GateRecord


class SettledRecord(msgspec.Struct, frozen=True, gc=False):
    """A durable record, as it was journalled, and where; `number` tells the keeper which."""

    number: int
    record: VerificationRecord
    receipt: Receipt


class Keeper(Reach, Protocol):
    """The process that keeps, as seen from one beside it."""

    def check(self) -> None:
        """Insist that it lives and that what was heard of it is fresh. Takes microseconds.

        Raises:
            CapacityError: Nothing may be judged now.
        """
        ...

    def settle(
        self, record: VerificationRecord, timings_ms: Mapping[str, float]
    ) -> Awaitable[SettledRecord | bytes]:
        """Have a judgement spent, journalled and remembered.

        Returns:
            What was journalled, or the answer that the same request got before.

        Raises:
            CallError: The request has no verdict.
            OperatingError: It came to nothing.
        """
        ...

    def answered(self, number: int, answer: bytes) -> None:
        """Say the answer of a settled judgement, which the same request is to get again."""
        ...


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
        self._new_id, self._monotonic = new_id, monotonic

    def takes(self, gate: GateRecord, scene: str) -> bool:
        """Tell whether a code of a scene can be judged here."""
        policy = self._trust().policies.get(scene)
        return policy is not None and policy.face == "off" and scene in gate.scenes

    async def verify(self, call: VerificationCall) -> Outcome | None:
        """Answer one `POST /v1/verifications` that `takes`, None if only the keeper can.

        Raises:
            CallError: It has no verdict.
            OperatingError: Store, keeper or journal.
        """
        self._keeper.check()
        trust = self._trust()
        policy = policy_of(trust, call.gate, call.scene)
        case = case_of(call, trust, policy, self._new_id())
        assert call.presentation is not None
        assert policy.face == "off"
        case.now = self._clock.now_s()
        case.begin()
        check_codes([case], self._clock)
        check_credentials(undecided([case]), self._cache)
        case.insist()
        found = case.found or verdict(Reason.OK)
        if found.reason is Reason.CREDENTIAL_UNKNOWN or (case.carried and self._asks):
            return None
        record = case.record(found, self._clock.state, self._keeper)
        settled = await self._keeper.settle(record, case.timings_ms)
        if isinstance(settled, bytes):
            outcome = Outcome(settled)
        else:
            case.end("journal")
            answer = encode_answer(
                render(settled.record, settled.receipt, case.credential, case.policy))
            self._keeper.answered(settled.number, answer)
            outcome = Outcome(answer, case.timings_ms)
        return in_time(outcome, call.deadline_s, self._monotonic())
