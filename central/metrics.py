"""The platform's metrics: the one owner of prometheus_client in this building.

- Names that nodes send (scene, decision, reason) are labels only if they are known here; anything
  else is `other`. A node's name and version are cut, and only so many nodes are shown.
- The fleet is read from the database when somebody scrapes, at most once a second.
"""

import time
from collections.abc import Callable, Container, Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from central.fleet import Fleet, NodeReading
from central.signals import FAR_APART
from edge.hotpath.reasons import Decision, Reason
from edge.protocol.journal import JournalRecord, VerificationRecord
from edge.protocol.signals import EVENT_PREFIX, SIGNALS

PAGE_KEPT_S = 1.0
OTHER = "other"
_SIGNALS = (*SIGNALS, FAR_APART)
_DECISIONS = frozenset(item.value for item in Decision)
_REASONS = frozenset(item.value for item in Reason)
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_NodeGauge = tuple[str, str, Callable[[NodeReading], float | None]]
_NODE_GAUGES: tuple[_NodeGauge, ...] = (
    ("silent_seconds", "Since the node was last heard.", lambda node: node.silent_s),
    ("ready", "1 if it says that it verifies.",
     lambda node: None if node.ready is None else float(node.ready)),
    ("behind_changes", "Changes that it doesn't hold, as of its report.", lambda node: node.behind),
    ("unshipped_records", "Journal records that it hasn't shipped.", lambda node: node.unshipped),
)


class _Shown(Collector):
    """Shows the fleet as it was read last."""

    def __init__(self) -> None:
        self.fleet: Fleet | None = None

    def collect(self) -> Iterator[Metric]:
        """Give what was read last; nothing before."""
        fleet = self.fleet
        if fleet is None:
            return
        nodes = GaugeMetricFamily("kanhe_central_nodes", "Nodes.", labels=("state",))
        nodes.add_metric(("enrolled",), fleet.enrolled)
        nodes.add_metric(("revoked",), fleet.revoked)
        yield nodes
        yield GaugeMetricFamily("kanhe_central_feed_head", "Changes in the feed.", fleet.head)
        info = GaugeMetricFamily(
            "kanhe_central_node_info", "What a node is.",
            labels=("node", "name", "version", "pack"))
        for node in fleet.nodes:
            info.add_metric((node.node_id, node.name, node.version, node.pack), 1.0)
        yield info
        for name, words, read in _NODE_GAUGES:
            family = GaugeMetricFamily(f"kanhe_central_node_{name}", words, labels=("node",))
            for node in fleet.nodes:
                value = read(node)
                if value is not None:
                    family.add_metric((node.node_id,), value)
            yield family


class CentralMetrics:
    """Counts calls and what nodes ship; shows the fleet."""

    def __init__(self, version: str = "") -> None:
        """Make a registry of its own."""
        self._registry, self._shown = CollectorRegistry(), _Shown()
        self._kept: tuple[float, bytes] | None = None

        def _counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"kanhe_central_{name}", words, labels, registry=self._registry)

        self._calls = _counter("calls", "Calls by route and status.", "route", "status")
        self._seconds = Histogram(
            "kanhe_central_call_seconds", "Time of a call; the feed's includes its waiting.",
            ("route",), buckets=_BUCKETS_S, registry=self._registry)
        self._answers = _counter(
            "verifications", "Answers that nodes shipped.", "scene", "decision", "reason")
        self._records = _counter("records", "Journal records taken in.", "kind")
        self._conflicts = _counter("conflicts", "Uploads that didn't continue the log.")
        self._signals = _counter("signals", "Signals of misuse.", "signal")
        for name in _SIGNALS:
            self._signals.labels(name)
        for kind in ("verification", "event"):
            self._records.labels(kind)
        build = GaugeMetricFamily(
            "kanhe_central_build_info", "Version of the platform.", labels=("version",))
        build.add_metric((version,), 1.0)
        self._registry.register(_Fixed(build))
        self._registry.register(self._shown)
        ProcessCollector(registry=self._registry)

    def called(self, route: str, status: int, seconds: float = 0.0) -> None:
        """Count one call; `route` is a pattern, never a path from outside."""
        self._calls.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def took_in(
        self, records: Iterable[JournalRecord], scenes: Container[str], *, conflict: bool,
        far_apart: int,
    ) -> None:
        """Count what an upload brought; `scenes` are those known here."""
        self._conflicts.inc(conflict)
        self._signals.labels(FAR_APART).inc(far_apart)
        for record in records:
            if isinstance(record, VerificationRecord):
                self._records.labels("verification").inc()
                self._answers.labels(
                    record.scene if record.scene in scenes else OTHER,
                    record.decision if record.decision in _DECISIONS else OTHER,
                    record.reason if record.reason in _REASONS else OTHER).inc()
                continue
            self._records.labels("event").inc()
            name = record.event.removeprefix(EVENT_PREFIX)
            if record.event.startswith(EVENT_PREFIX) and name in _SIGNALS:
                self._signals.labels(name).inc()

    def kept(self) -> bytes | None:
        """Give the page if it is fresh enough, None if the fleet has to be read."""
        if self._kept is not None and time.monotonic() - self._kept[0] < PAGE_KEPT_S:
            return self._kept[1]
        return None

    def see(self, fleet: Fleet) -> None:
        """Take the fleet as it is now."""
        self._shown.fleet = fleet

    def page(self) -> bytes:
        """Give the text that Prometheus scrapes."""
        page = generate_latest(self._registry)
        self._kept = (time.monotonic(), page)
        return page


class _Fixed(Collector):
    """Shows one metric that never changes."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        """Give the metric."""
        yield self._metric
