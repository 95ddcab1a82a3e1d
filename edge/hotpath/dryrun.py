"""A dry run: past answers under new policies, counted, before anything goes live.

- Records come in the order of their log, one log after the other; memory is bounded however many.
- Codes are spent anew: what would have been accepted first makes the next showing a replay.
- A code of which nothing is recorded (it was malformed then, or too early) may have been spent or
  not: what it would have made of a later showing isn't seen.
- What follows an answer that would have been another (a capture, a person's decision) can't be
  known: the conversation would have gone otherwise.
- Only verification ids are kept, a few for each kind of change.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from edge.hotpath.past import Missing, Past, Points
from edge.hotpath.reasons import REASONS, Reason, Stage
from edge.hotpath.rejudge import rejudge
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.journal import JournalRecord, VerificationRecord, decode_record
from edge.protocol.records import ScenePolicy

_K = TypeVar("_K")
_V = TypeVar("_V")
EXAMPLES_MAX = 3
REMEMBERED_MAX = 100_000
"""Credentials and verifications of which the newest are remembered."""
_AFTER_GUARD = {Stage.DONE, Stage.BIOMETRIC}
_MISSING_AFTER_GUARD = {
    Missing.FACE, Missing.THRESHOLD, Missing.LIVENESS, Missing.CHALLENGE, Missing.REFERENCE}
BeforePolicy = Callable[[str, int], ScenePolicy | None]
"""Gives the policy of a scene and version, None if it isn't at hand."""


class Changed(msgspec.Struct, kw_only=True):
    """Answers that would have been others, alike in both; `examples` are verification ids."""

    decision: str
    reason: str
    new_decision: str
    new_reason: str
    count: int = 0
    examples: list[str] = []


class Unknown(msgspec.Struct, kw_only=True):
    """Answers of one reason of which the same thing isn't recorded."""

    decision: str
    reason: str
    missing: Missing
    count: int = 0
    examples: list[str] = []


class SceneRun(msgspec.Struct, kw_only=True):
    """What a dry run found in one scene."""

    scene: str
    answers: int = 0
    same: int = 0
    changed: list[Changed] = []
    unknown: list[Unknown] = []


class DryRunReport(msgspec.Struct, kw_only=True):
    """What a dry run found.

    Attributes:
        answers: How many were judged anew.
        other: Answers of scenes for which no policy was given, and what newer nodes recorded.
        events: Records that are no answers.
    """

    answers: int = 0
    same: int = 0
    changed: int = 0
    unknown: int = 0
    other: int = 0
    events: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    scenes: list[SceneRun] = []


class DryRun:
    """Judges past answers one by one."""

    def __init__(
        self, policies: Mapping[str, ScenePolicy], before: BeforePolicy, points: Points
    ) -> None:
        """Begin with nothing judged.

        Args:
            policies: The new ones, by scene; other scenes are passed over.
            before: Gives the old ones.
            points: Thresholds of packs, as far as they are at hand.
        """
        self._policies, self._before, self._points = policies, before, points
        self._report = DryRunReport(scenes=[])
        self._runs: dict[str, SceneRun] = {}
        self._changed: dict[tuple[str, ...], Changed] = {}
        self._unknown: dict[tuple[str, ...], Unknown] = {}
        self._log = ""
        self._spent: OrderedDict[bytes, int] = OrderedDict()
        self._perhaps: OrderedDict[bytes, int] = OrderedDict()
        self._freed: OrderedDict[bytes, int] = OrderedDict()
        self._otherwise: OrderedDict[str, None] = OrderedDict()

    def add(self, log: str, record: JournalRecord) -> Verdict | Missing | None:
        """Judge the next record of a log; None if it isn't judged."""
        if log != self._log:
            self._log = log
            for kept in (self._spent, self._perhaps, self._freed, self._otherwise):
                kept.clear()
        if not isinstance(record, VerificationRecord):
            self._report.events += 1
            return None
        policy = self._policies.get(record.scene)
        if policy is None or record.reason not in Reason._value2member_map_:
            self._report.other += 1
            return None
        before = self._before(record.scene, record.evidence.policy_version)
        found = self._judge(Past(record, policy, before, self._points))
        self._count(record, found)
        return found

    def run(self, rows: Iterable[tuple[str, bytes]], since_ms: int = 0) -> DryRunReport:
        """Judge the records of (log, bytes) that are not older than a time, and report."""
        for log, data in rows:
            try:
                record = decode_record(data)
            except msgspec.MsgspecError:
                self._report.other += 1  # of a newer node
                continue
            if record.at_ms >= since_ms:
                self.add(log, record)
        return self.report()

    def report(self) -> DryRunReport:
        """Give what was found so far, the most frequent change of a scene first."""
        for run in self._runs.values():
            run.changed.sort(key=lambda item: -item.count)
            run.unknown.sort(key=lambda item: -item.count)
        self._report.scenes = sorted(self._runs.values(), key=lambda run: run.scene)
        return self._report

    def _judge(self, past: Past) -> Verdict | Missing:
        record = past.record
        if record.kind in ("capture", "decision") and record.verification_id in self._otherwise:
            return Missing.EARLIER
        found = rejudge(past)
        if record.kind == "verification" and record.credential_id is not None:
            found = self._spend(record, found)
        return found

    def _spend(self, record: VerificationRecord, found: Verdict | Missing) -> Verdict | Missing:
        """Spend a code as it would have been: once, by the first answer that came so far."""
        credential_id, step = record.credential_id, record.step
        assert credential_id is not None
        if step is None:
            return found
        if record.reason == Reason.PRESENTATION_REPLAYED:
            freed = self._freed.get(credential_id, -1) >= step
            again = isinstance(found, Verdict) and found.reason is Reason.PRESENTATION_REPLAYED
            return Missing.REPLAY if freed and again else found
        spends = (found in _MISSING_AFTER_GUARD if isinstance(found, Missing)
                  else _is_after_guard(found.reason))
        if spends:
            if self._spent.get(credential_id, -1) >= step:
                return verdict(Reason.PRESENTATION_REPLAYED)
            if self._perhaps.get(credential_id, -1) >= step:
                return Missing.REPLAY
            _remember(self._spent, credential_id, step)
            return found
        if isinstance(found, Missing):
            _remember(self._perhaps, credential_id, step)
        if _is_after_guard(Reason(record.reason)):
            _remember(self._freed, credential_id, step)
        return found

    def _count(self, record: VerificationRecord, found: Verdict | Missing) -> None:
        report, run = self._report, self._runs.get(record.scene)
        if run is None:
            run = self._runs[record.scene] = SceneRun(scene=record.scene, changed=[], unknown=[])
        report.answers += 1
        run.answers += 1
        report.first_ms = min(record.at_ms, report.first_ms or record.at_ms)
        report.last_ms = max(record.at_ms, report.last_ms or record.at_ms)
        then = record.decision, record.reason
        if isinstance(found, Verdict) and (found.decision, found.reason) == then:
            report.same += 1
            run.same += 1
            return
        _remember(self._otherwise, record.verification_id, None)
        if isinstance(found, Missing):
            report.unknown += 1
            key: tuple[str, ...] = (record.scene, *then, found.value)
            if key not in self._unknown:
                self._unknown[key] = Unknown(
                    decision=then[0], reason=then[1], missing=found, examples=[])
                run.unknown.append(self._unknown[key])
            _note(self._unknown[key], record)
            return
        report.changed += 1
        key = (record.scene, *then, found.decision.value, found.reason.value)
        if key not in self._changed:
            self._changed[key] = Changed(
                decision=then[0], reason=then[1], new_decision=found.decision.value,
                new_reason=found.reason.value, examples=[])
            run.changed.append(self._changed[key])
        _note(self._changed[key], record)


def _is_after_guard(reason: Reason) -> bool:
    """Tell whether an answer to a genuine code is given after the code was spent."""
    stage = REASONS[reason].stage
    return stage in _AFTER_GUARD or stage is Stage.CAPTURE


def _note(item: Changed | Unknown, record: VerificationRecord) -> None:
    item.count += 1
    if len(item.examples) < EXAMPLES_MAX:
        item.examples.append(record.verification_id)


def _remember(kept: "OrderedDict[_K, _V]", key: _K, value: _V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > REMEMBERED_MAX:
        kept.popitem(last=False)
