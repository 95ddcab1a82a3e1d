"""A person's decision where the node can't tell, or a holder won't show the face.

- Open to decision: what was referred, and what holds a genuine code and still waits for a face.
  For a bounded time, by its own gate, once.
- A person can't outvote what is known: a revoked, suspended, expired or unaccepted credential stays
  refused.
- Journalled with who and why; taken up again from the journal after a restart.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from edge.hotpath.credential import check_standing, check_status
from edge.hotpath.reasons import REASONS, Reason, Stage
from edge.hotpath.trust import Trust
from edge.hotpath.verdict import Verdict, verdict
from edge.pipeline.answer import Outcome, encode_answer
from edge.pipeline.answers import RecentAnswers
from edge.pipeline.calls import (
    DecisionCall,
    SceneUnknown,
    VerificationClosed,
    VerificationUnknown,
)
from edge.pipeline.captures import OpenVerifications
from edge.pipeline.digests import request_key
from edge.pipeline.judgement import disclosed_fields, evidence_of, status_word
from edge.pipeline.ports import Clock, CredentialCache, Journal, Observer
from edge.pipeline.render import render
from edge.protocol.journal import VerificationRecord

DECISION_OPEN_S = 900.0
"""How long after an answer a person may decide."""
OPEN_MAX = 20_000
NOTE_CHARS_MAX = 400


class _Open(msgspec.Struct):
    record: VerificationRecord
    until_ms: int
    decided: bool = False


class OpenDecisions:
    """What a person may decide now."""

    def __init__(self, open_s: float = DECISION_OPEN_S, open_max: int = OPEN_MAX) -> None:
        """Begin empty."""
        self._open_ms, self._open_max = int(open_s * 1e3), open_max
        self._items: OrderedDict[str, _Open] = OrderedDict()

    def __len__(self) -> int:
        """Count them."""
        return len(self._items)

    def offer(self, record: VerificationRecord) -> None:
        """Take note of an answer: it opens a decision, or closes one."""
        held = self._items.pop(record.verification_id, None)
        if record.kind == "decision":
            self._items[record.verification_id] = _Open(
                record, record.at_ms + self._open_ms, decided=True)
        elif _decidable(record):
            self._items[record.verification_id] = _Open(record, record.at_ms + self._open_ms)
        elif held is not None:
            held.decided = True
            self._items[record.verification_id] = held
        while self._items:
            oldest = next(iter(self._items.values()))
            if oldest.until_ms >= record.at_ms and len(self._items) <= self._open_max:
                break
            self._items.popitem(last=False)

    def take(self, verification_id: str, gate_id: str, now: float) -> VerificationRecord:
        """Give the record that is to be decided.

        Raises:
            VerificationUnknown: There is none of that id for this gate.
            VerificationClosed: It is decided, or out of time.
        """
        item = self._items.get(verification_id)
        if item is None or item.record.gate_id != gate_id:
            raise VerificationUnknown("no such verification of this gate is open to a decision")
        if item.decided or item.until_ms < now * 1e3:
            raise VerificationClosed("this verification isn't open to a decision any more")
        return item.record


def _decidable(record: VerificationRecord) -> bool:
    if record.decision == "refer":
        return True
    waits = record.decision == "retry" and record.credential_id is not None
    return waits and REASONS[Reason(record.reason)].stage in (Stage.CAPTURE, Stage.BIOMETRIC)


class Decider:
    """Answers decisions."""

    def __init__(
        self, *, trust: Callable[[], Trust], clock: Clock, cache: CredentialCache,
        journal: Journal, observer: Observer, answers: RecentAnswers, captures: OpenVerifications,
    ) -> None:
        """Take the ports; `answers` and `captures` are the verifier's."""
        self._trust, self._clock, self._cache = trust, clock, cache
        self._journal, self._observer = journal, observer
        self._answers, self._captures = answers, captures
        self.open = OpenDecisions()

    async def decide(self, call: DecisionCall) -> Outcome:
        """Answer one `POST /v1/verifications/{id}/decision`.

        Raises:
            CallError: It has no verdict.
            JournalError: The record can't be promised.
        """
        key = request_key(call.gate.gate_id, call.request_id)
        content = f"{call.verification_id}\0{call.accept}\0{call.note}\0{call.actor}"
        digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()[:16]
        return await self._answers.once(key, digest, lambda: self._decide(call, key, digest))

    async def _decide(self, call: DecisionCall, key: bytes, digest: bytes) -> Outcome:
        now = self._clock.now_s()
        before = self.open.take(call.verification_id, call.gate.gate_id, now)
        trust = self._trust()
        policy = trust.policies.get(before.scene)
        if policy is None:
            raise SceneUnknown("this node has no such scene any more")
        credential, status = None, None
        if before.credential_id is not None:
            credential, status = self._cache.standing(before.credential_id)
        found: Verdict | None = None
        if call.accept:
            found = (check_status(status) if credential is None
                     else check_standing(credential, status, policy, now=now))
        if found is None:
            found = verdict(Reason.OPERATOR_ACCEPTED if call.accept else Reason.OPERATOR_REJECTED)
        accepted = found.decision == "accept"
        record = msgspec.structs.replace(
            before, kind="decision", at_ms=int(now * 1000), request_digest=key,
            body_digest=digest, decision=found.decision.value, reason=found.reason.value, why="",
            credential_type=credential.type if credential else before.credential_type,
            credential_status=status_word(credential, status) or before.credential_status,
            evidence=evidence_of(
                trust, now, self._clock.state, before.evidence.replay_scope, credential, policy),
            disclosed=disclosed_fields(credential, policy) if accepted else (),
            actor=call.actor, note=call.note,
        )
        # Nobody else may decide or capture while the record is on its way to the disk.
        self.open.offer(record)
        self._captures.close(call.verification_id)
        try:
            receipt = await self._journal.append(record)
        except BaseException:
            self.open.offer(before)
            raise
        self._observer.observed(record, {})
        return Outcome(encode_answer(render(record, receipt, credential, policy)))
