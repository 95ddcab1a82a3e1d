"""What a run saw: latencies, outcomes and rates, in bounded memory.

- Latency counts from the moment a request was due, not from when it could be sent: a stalled node
  keeps everybody behind it waiting, and they are all in the histogram.
- HdrHistogram, 1 µs to an hour, three digits; a number of intervals, each with a coarser one.
- Good is an answer that is the expected one, within the deadline.
"""

from collections import Counter

import msgspec
from hdrh.histogram import HdrHistogram

LATENCY_US_MAX = 3_600_000_000
INTERVALS = 120
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)
LAG_SHARE_MAX = 0.05
"""A generator that is itself late by more of the deadline (p99) isn't believed."""


class Interval:
    """One stretch of a run."""

    __slots__ = ("answered", "due", "good", "latency")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.due = self.answered = self.good = 0
        self.latency = HdrHistogram(1, LATENCY_US_MAX, 2)


class Tally:
    """The record of one run."""

    def __init__(self, rate: float, duration_s: float, deadline_s: float) -> None:
        """Begin with nothing.

        Args:
            rate: Intended arrivals a second.
            duration_s: Intended seconds.
            deadline_s: After this an answer is of no use to a gate.
        """
        self.rate, self.duration_s, self.deadline_s = rate, duration_s, deadline_s
        self.width_s = max(1.0, duration_s / INTERVALS)
        self.intervals = [Interval() for _ in range(int(duration_s / self.width_s + 0.999))]
        self.latency = HdrHistogram(1, LATENCY_US_MAX, 3)
        self.by_kind: dict[str, HdrHistogram] = {}
        self.lag = HdrHistogram(1, LATENCY_US_MAX, 3)
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.due = self.answered = self.good = self.late = 0
        self.took_s = 0.0

    def begun(self, due_s: float, lag_s: float) -> None:
        """Count a request that was due, and how late the generator was with it."""
        self.due += 1
        self.lag.record_value(_us(lag_s))
        self._interval(due_s).due += 1

    def ended(
        self, kind: str, outcome: str, due_s: float, now_s: float, *, good: bool, ok: bool
    ) -> None:
        """Count an end.

        Args:
            kind: What was asked.
            outcome: `decision/reason`, `http 503`, `timeout`, …
            due_s, now_s: When it was due and when it ended, seconds from the beginning.
            good: Whether that is the answer expected.
            ok: Whether it was answered 200.
        """
        took = now_s - due_s
        self.outcomes[kind, outcome] += 1
        self.latency.record_value(_us(took))
        histogram = self.by_kind.get(kind)
        if histogram is None:
            histogram = self.by_kind[kind] = HdrHistogram(1, LATENCY_US_MAX, 3)
        histogram.record_value(_us(took))
        self._interval(due_s).latency.record_value(_us(took))
        within = took <= self.deadline_s
        self.late += ok and not within
        interval = self._interval(now_s)
        self.answered += ok
        interval.answered += ok
        self.good += good and within
        interval.good += good and within

    def percentile_ms(self, percentile: float, kind: str = "") -> float:
        """Give a percentile of the latency in ms, of one kind or of all."""
        histogram = self.by_kind[kind] if kind else self.latency
        return float(histogram.get_value_at_percentile(percentile)) / 1e3

    @property
    def lag_ms(self) -> float:
        """The generator's own lateness in ms, 99th percentile."""
        return float(self.lag.get_value_at_percentile(99.0)) / 1e3

    @property
    def goodput(self) -> float:
        """Good answers a second of the intended time."""
        return self.good / self.duration_s

    def summary(self) -> "Summary":
        """Give the figures of a JSON line."""
        outcomes: dict[str, dict[str, int]] = {}
        for (kind, outcome), count in sorted(self.outcomes.items()):
            outcomes.setdefault(kind, {})[outcome] = count
        valid = self.lag_ms <= LAG_SHARE_MAX * self.deadline_s * 1e3
        return Summary(
            rate=round(self.rate, 1), due=self.due, answered=self.answered, good=self.good,
            goodput=round(self.goodput, 1), late=self.late, outcomes=outcomes,
            latency_ms={_name(p): round(self.percentile_ms(p), 3) for p in PERCENTILES},
            by_kind_ms={kind: {_name(p): round(self.percentile_ms(p, kind), 3)
                               for p in PERCENTILES} for kind in sorted(self.by_kind)},
            lag_p99_ms=round(self.lag_ms, 3), valid=valid,
            why="" if valid else "the generator itself was late: use a faster machine or less load",
        )

    def _interval(self, at_s: float) -> Interval:
        index = min(max(0, int(at_s / self.width_s)), len(self.intervals) - 1)
        return self.intervals[index]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one run.

    Attributes:
        rate: Intended arrivals a second.
        due, answered, good, late: Requests due; answered 200; as expected within the deadline;
            answered 200 after it.
        goodput: Good ones a second.
        outcomes: By kind and outcome.
        latency_ms, by_kind_ms: Percentiles, from the moment each was due.
        lag_p99_ms: The generator's own lateness.
        valid, why: Whether the generator kept up.
    """

    rate: float
    due: int
    answered: int
    good: int
    goodput: float
    late: int
    outcomes: dict[str, dict[str, int]]
    latency_ms: dict[str, float]
    by_kind_ms: dict[str, dict[str, float]]
    lag_p99_ms: float
    valid: bool
    why: str


def _name(percentile: float) -> str:
    return "max" if percentile == 100.0 else f"p{percentile:g}"


def _us(seconds: float) -> int:
    return min(LATENCY_US_MAX, max(1, int(seconds * 1e6)))
