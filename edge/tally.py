"""Counting answers in plain numbers: what is done on every one of them.

- One event loop counts, so nothing is locked; `edge.metrics` takes what was added since it last
  looked.
- Names come from closed sets (scene of a policy, decision, reason, stage, gate of the feed), and
  each set has a bound: what is beyond it counts as `other`.
- Sums only grow; what happened in a stretch of time is the difference of two looks.
- Not here: exposition.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from typing import TypeVar

from edge.hotpath.reasons import Decision, Reason
from edge.protocol.journal import VerificationRecord
from edge.protocol.steps import STEP_S

BOUNDS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0,
)
"""Upper bounds of the buckets of a time, seconds; the last bucket has none."""
LATE_BOUNDS_S = (5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0)
"""Those of how late a code was shown."""
OTHER = "other"
SCENES_MAX = 64
STAGES_MAX = 32
GATES_MAX = 256
DECISIONS = tuple(item.value for item in Decision)
_REASONS = frozenset(item.value for item in Reason)
_T = TypeVar("_T")


class Spread:
    """A histogram.

    Attributes:
        bounds: Upper bounds of the buckets.
        counts: How often, by bucket; one more than there are bounds.
        total: Sum of all values.
        worst, worst_id: The largest value since somebody looked, and of which verification.
    """

    __slots__ = ("bounds", "counts", "total", "worst", "worst_id")

    def __init__(self, bounds: tuple[float, ...] = BOUNDS_S) -> None:
        """Begin at nothing."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.worst, self.worst_id = -1.0, ""

    def add(self, value: float, times: int = 1) -> None:
        """Count a value so often."""
        self.total += value * times
        self.counts[bisect_left(self.bounds, value)] += times


class Series:
    """How often one scene, decision and reason came; the times are shared by its decision."""

    __slots__ = ("count", "spread")

    def __init__(self, spread: Spread) -> None:
        """Begin at nothing."""
        self.count, self.spread = 0, spread


class GateSeen:
    """How often a gate got an answer, when the last one (Unix milliseconds), how often none.

    Attributes:
        refused: Calls beyond its rate.
    """

    __slots__ = ("at_ms", "count", "refused")

    def __init__(self) -> None:
        """Begin at nothing."""
        self.count, self.at_ms, self.refused = 0, 0, 0


class Tally:
    """Implements the pipeline's `Observer`.

    Attributes:
        answers: By scene, decision and reason.
        seconds: Times of whole answers by scene and decision.
        stages: Times of stages by scene.
        gates: By gate id.
        late: How late genuine codes were that came too late.
        turned_away: Calls beyond a gate's rate, and those that there was no capacity for.
        found, missed: Genuine codes whose credential is held here, and whose isn't.
    """

    def __init__(self, scenes: Callable[[], Container[str]] | None = None) -> None:
        """Begin at nothing; `scenes` gives those that may be a name now."""
        self._scenes = scenes
        self.answers: dict[tuple[str, str, str], Series] = {}
        self.seconds: dict[tuple[str, str], Spread] = {}
        self.stages: dict[str, dict[str, Spread]] = {}
        self.gates: dict[str, GateSeen] = {}
        self.late = Spread(LATE_BOUNDS_S)
        self.found = self.missed = self.turned_away = 0

    def observed(self, record: VerificationRecord, timings_ms: Mapping[str, float]) -> None:
        """Count an answer and its stages."""
        self.observed_all((record,), timings_ms)

    def observed_all(
        self, records: Sequence[VerificationRecord], timings_ms: Mapping[str, float]
    ) -> None:
        """Count answers and their stages, which took each of them as long."""
        total_s = sum(timings_ms.values()) * 1e-3
        counts: dict[str, int] = {}
        for record in records:
            self._count(record, total_s)
            counts[record.scene] = counts.get(record.scene, 0) + 1
        for scene, count in counts.items():
            spreads = self.stages.get(scene)
            if spreads is None:
                spreads = self.stages.setdefault(self._scene(scene, self.stages), {})
            for stage, ms in timings_ms.items():
                spread = spreads.get(stage)
                if spread is None:
                    spread = _bounded(spreads, stage, STAGES_MAX, Spread)
                spread.add(ms * 1e-3, count)

    def refused(self, gate_id: str, calls: int = 1) -> None:
        """Count calls of a gate beyond its rate."""
        _bounded(self.gates, gate_id, GATES_MAX, GateSeen).refused += calls

    def _count(self, record: VerificationRecord, total_s: float) -> None:
        series = self.answers.get((record.scene, record.decision, record.reason))
        if series is None:
            series = self._series(record)
        series.count += 1
        if total_s:
            spread = series.spread
            spread.add(total_s)
            if total_s > spread.worst:
                spread.worst, spread.worst_id = total_s, record.verification_id
        gate = self.gates.get(record.gate_id)
        if gate is None:
            gate = _bounded(self.gates, record.gate_id, GATES_MAX, GateSeen)
        gate.count += 1
        gate.at_ms = record.at_ms
        if record.credential_type:
            self.found += 1
        elif record.credential_id is not None:
            self._without_credential(record)

    def decisions(self) -> dict[str, int]:
        """Count the answers by decision."""
        counts = dict.fromkeys(DECISIONS, 0)
        for (_, decision, _), series in self.answers.items():
            if decision in counts:
                counts[decision] += series.count
        return counts

    def answer_buckets(self) -> list[int]:
        """Count the times of whole answers, whatever they were, by bucket."""
        buckets = [0] * (len(BOUNDS_S) + 1)
        for spread in self.seconds.values():
            buckets = [a + b for a, b in zip(buckets, spread.counts, strict=True)]
        return buckets

    def stage_sums(self) -> dict[str, tuple[int, float]]:
        """Give how often each stage was, and its seconds together, whatever the scene."""
        sums: dict[str, tuple[int, float]] = {}
        for spreads in self.stages.values():
            for stage, spread in spreads.items():
                count, total_s = sums.get(stage, (0, 0.0))
                sums[stage] = count + sum(spread.counts), total_s + spread.total
        return sums

    def _series(self, record: VerificationRecord) -> Series:
        decision, reason = record.decision, record.reason
        scene = self._scene(record.scene, {key[0] for key in self.answers})
        decision = decision if decision in DECISIONS else OTHER
        reason = reason if reason in _REASONS else OTHER
        series = self.answers.get((scene, decision, reason))
        if series is None:
            spread = self.seconds.setdefault((scene, decision), Spread())
            series = self.answers[scene, decision, reason] = Series(spread)
        return series

    def _scene(self, scene: str, known: Collection[str]) -> str:
        """Give the name that a scene is counted by."""
        if scene in known:
            return scene
        full = len(known) >= SCENES_MAX
        return OTHER if full or (self._scenes and scene not in self._scenes()) else scene

    def _without_credential(self, record: VerificationRecord) -> None:
        if record.reason == Reason.STEP_EXPIRED:
            self.late.add(late_s(record))
        else:
            self.missed += 1


def late_s(record: VerificationRecord) -> float:
    """Give how long after the end of its step a genuine code was shown, seconds."""
    assert record.step is not None
    return max(0.0, record.at_ms / 1e3 - (record.step + 1) * STEP_S)


def quantile(counts: list[int], bounds: tuple[float, ...], share: float) -> float | None:
    """Estimate a quantile of bucket counts, None if there are none.

    Within a bucket values are taken as spread evenly, as Prometheus does; beyond the last bound
    it gives that bound.
    """
    wanted = share * sum(counts)
    if wanted <= 0.0:
        return None
    below, low = 0.0, 0.0
    for count, high in zip(counts, bounds, strict=False):
        if count and below + count >= wanted:
            return low + (high - low) * (wanted - below) / count
        below, low = below + count, high
    return bounds[-1]


def _bounded(table: dict[str, _T], name: str, names_max: int, make: Callable[[], _T]) -> _T:
    """Find or make an entry; when there are too many, that of `other`."""
    name = name if name in table or len(table) < names_max else OTHER
    entry = table.get(name)
    if entry is None:
        entry = table[name] = make()
    return entry
