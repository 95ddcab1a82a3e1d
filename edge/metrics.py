"""The node's metrics: the one owner of prometheus_client at the edge.

- An answer is counted in plain numbers (`edge.tally`) and brought to prometheus_client when
  somebody looks, so that counting costs the same with one process or several.
- Gauges are read from functions when they are scraped, so they cost nothing in between; a page
  is kept for a moment, so that an eager scraper costs no more than a calm one.
- With `PROMETHEUS_MULTIPROC_DIR` set, each process shows the counts of all, as of their last
  `fold`; gauges are then those of the process that is asked, and there are no exemplars.
"""

import os
import platform
import time
from collections.abc import Callable, Container, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from edge.protocol.signals import SIGNALS
from edge.tally import BOUNDS_S, LATE_BOUNDS_S, OTHER, Spread, Tally

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
OPENMETRICS = "application/openmetrics-text"
PAGE_KEPT_S = 0.25
_Samples = Iterable[tuple[tuple[str, ...], float]]


class Reading(NamedTuple):
    """A gauge that is read when it is scraped: samples are label values and a value.

    `grows` says that it is a counter; its name is then written with `_total` behind it.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[], _Samples]
    grows: bool = False


class SpreadReading(NamedTuple):
    """A histogram that is read when it is scraped."""

    name: str
    help: str
    read: Callable[[], Spread]


def reading(name: str, help_: str, read: Callable[[], float | None]) -> Reading:
    """Give a gauge without labels; None isn't shown."""

    def _samples() -> _Samples:
        value = read()
        return [] if value is None else [((), float(value))]

    return Reading(name, help_, (), _samples)


class _Readings(Collector):
    """Shows gauges."""

    def __init__(self) -> None:
        self.items: list[Reading | SpreadReading] = []

    def collect(self) -> Iterator[Metric]:
        """Read every gauge and histogram now."""
        for item in self.items:
            if isinstance(item, SpreadReading):
                yield _histogram(item)
                continue
            kind = CounterMetricFamily if item.grows else GaugeMetricFamily
            family = kind(item.name, item.help, labels=item.labels)
            for labels, value in item.read():
                family.add_metric(labels, value)
            yield family


def _histogram(item: SpreadReading) -> Metric:
    spread, below = item.read(), 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*spread.bounds, "+Inf"), spread.counts, strict=True):
        below += count
        buckets.append((str(bound), below))
    return HistogramMetricFamily(item.name, item.help, buckets=buckets, sum_value=spread.total)


class _Several(Collector):
    """Shows the counts of all processes, and the gauges of this one."""

    def __init__(self, readings: _Readings) -> None:
        self._counts = MultiProcessCollector(CollectorRegistry())  # type: ignore[no-untyped-call]
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        """Give the counts of all, then the gauges."""
        yield from self._counts.collect()  # type: ignore[no-untyped-call]
        yield from self._readings.collect()


class NodeMetrics:
    """Counts, and gives the page `/metrics`.

    Attributes:
        tally: The counts of this process.
        observed, observed_all: Take answers (the pipeline's `Observer`).
        refused: Takes a gate whose calls were beyond its rate, and how many.
    """

    def __init__(self, version: str, scenes: Callable[[], Container[str]] | None = None) -> None:
        """Make a registry of its own; `scenes` gives those that may be a label now."""
        self.tally = Tally(scenes)
        self.observed, self.observed_all = self.tally.observed, self.tally.observed_all
        self.refused = self.tally.refused
        self._registry, self._readings = CollectorRegistry(), _Readings()
        self._several = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self._source: Collector | CollectorRegistry = self._registry
        self._readings.items.append(Reading(
            "kanhe_build_info", "Version of the node and of its Python.", ("version", "python"),
            lambda: [((version, platform.python_version()), 1.0)]))
        self._folded: dict[object, tuple[float, ...]] = {}
        self._kept: dict[bool, tuple[float, bytes]] = {}
        self._define_answers()
        self._define_others()
        if self._several:
            self._source = _Several(self._readings)
        else:
            self._registry.register(self._readings)
            ProcessCollector(registry=self._registry)

    def _define_answers(self) -> None:
        self._answers = Counter(
            "kanhe_verifications", "Answers by scene, decision and reason.",
            ("scene", "decision", "reason"), registry=self._registry)
        self._seconds = Histogram(
            "kanhe_verification_seconds", "Time of an answer: its stages together.",
            ("scene", "decision"), buckets=BOUNDS_S, registry=self._registry)
        self._stages = Histogram(
            "kanhe_stage_seconds", "Time of the stages of a verification.", ("scene", "stage"),
            buckets=BOUNDS_S, registry=self._registry)
        self._late = Histogram(
            "kanhe_code_late_seconds", "How late genuine codes were that came too late.",
            buckets=LATE_BOUNDS_S, registry=self._registry)

    def _define_others(self) -> None:
        self._problems = Counter(
            "kanhe_http_problems", "Calls that had no verdict, by HTTP status.", ("status",),
            registry=self._registry)
        self._lookups = Counter(
            "kanhe_cache_lookups", "Genuine codes, by whether their credential is held here.",
            ("result",), registry=self._registry)
        self._gate_answers = Counter(
            "kanhe_gate_verifications", "Answers to a gate.", ("gate",), registry=self._registry)
        self._gate_refused = Counter(
            "kanhe_gate_refused", "Calls of a gate beyond its rate.", ("gate",),
            registry=self._registry)
        self._gate_seen = Gauge(
            "kanhe_gate_seen_timestamp_seconds", "When a gate last got an answer.", ("gate",),
            registry=self._registry, multiprocess_mode="max")
        self._signals = Counter(
            "kanhe_signals", "Signals of misuse; see docs/metrics.md.", ("signal",),
            registry=self._registry)
        for name in SIGNALS:
            self._signals.labels(name)
        self._problems.labels("503")
        self._asked = Counter(
            "kanhe_demand_lookups", "Shown credentials that weren't held, by how asking went.",
            ("result",), registry=self._registry)
        self._arrivals = Counter(
            "kanhe_arrivals_numbers", "Numbers in lists of arrivals, by how asking went.",
            ("result",), registry=self._registry)
        self._lapsed = Counter(
            "kanhe_holding_lapsed", "Credentials that are held no longer, by why.", ("why",),
            registry=self._registry)

    def gauges(self, readings: Iterable[Reading | SpreadReading]) -> None:
        """Add what is read when it is scraped."""
        self._readings.items.extend(readings)

    def problem(self, status: int, calls: int = 1) -> None:
        """Count calls without a verdict."""
        if status in (429, 503):
            self.tally.turned_away += calls
        self._problems.labels(str(status) if 400 <= status < 600 else OTHER).inc(calls)

    def signal(self, name: str) -> None:
        """Count a signal of misuse."""
        self._signals.labels(name if name in SIGNALS else OTHER).inc()

    def looked_up(self, result: str) -> None:
        """Count a credential that was shown and isn't held, by how asking went."""
        self._asked.labels(result).inc()

    def expected(self, result: str, numbers: int) -> None:
        """Count numbers of a list of arrivals, by how asking went."""
        self._arrivals.labels(result).inc(numbers)

    def lapsed(self, why: str, credentials: int) -> None:
        """Count credentials that are held no longer."""
        self._lapsed.labels(why).inc(credentials)

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """Give the text that Prometheus scrapes, and its content type.

        It is OpenMetrics, which carries exemplars, for a scraper whose `Accept` names it.
        """
        modern = OPENMETRICS in accept
        at, page = self._kept.get(modern, (0.0, b""))
        now = time.monotonic()
        if not page or now - at > PAGE_KEPT_S:
            self.fold()
            # Both take whatever has a method `collect`.
            generate = openmetrics.generate_latest if modern else generate_latest
            page = generate(self._source)
            self._kept[modern] = (now, page)
        return page, openmetrics.CONTENT_TYPE_LATEST if modern else CONTENT_TYPE

    def fold(self) -> None:
        """Bring what was counted to prometheus_client."""
        tally = self.tally
        for labels, series in tally.answers.items():
            self._grow(self._answers.labels(*labels), series.count)
        for pair, spread in tally.seconds.items():
            self._pour(self._seconds.labels(*pair), spread)
        for scene, spreads in tally.stages.items():
            for stage, spread in spreads.items():
                self._pour(self._stages.labels(scene, stage), spread)
        for name, gate in tally.gates.items():
            if gate.count:
                self._grow(self._gate_answers.labels(name), gate.count)
                self._gate_seen.labels(name).set(gate.at_ms / 1e3)
            if gate.refused:
                self._grow(self._gate_refused.labels(name), gate.refused)
        # A histogram without labels is its own child.
        self._pour(self._late, tally.late)
        self._grow(self._lookups.labels("hit"), tally.found)
        self._grow(self._lookups.labels("miss"), tally.missed)

    def _grow(self, child: Counter, count: int) -> None:
        (before,) = self._folded.get(child, (0.0,))
        if count > before:
            child.inc(count - before)
            self._folded[child] = (count,)

    def _pour(self, child: Histogram, spread: Spread) -> None:
        """Add a spread by its buckets; `observe` once a value would cost each answer again."""
        now = (spread.total, *spread.counts)
        before = self._folded.get(child, (0.0,) * len(now))
        if now == before:
            return
        for bucket, count, known in zip(child._buckets, now[1:], before[1:], strict=True):
            if count > known:
                bucket.inc(count - known)
        child._sum.inc(now[0] - before[0])
        self._folded[child] = now
        if spread.worst_id and not self._several:
            place = sum(spread.worst > bound for bound in spread.bounds)
            child._buckets[place].set_exemplar(
                Exemplar({"verification_id": spread.worst_id}, spread.worst, time.time()))
        spread.worst, spread.worst_id = -1.0, ""
