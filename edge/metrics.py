"""The node's metrics: the one owner of prometheus_client at the edge.

- Labels come from closed sets (scene of a policy, decision, reason, stage), never from
  outside.
- Gauges are read from functions when they are scraped, so they cost nothing in between.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from edge.protocol.journal import VerificationRecord

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
)

Gauges = Mapping[str, tuple[str, Callable[[], float | None]]]
"""By name: help, and what is read when scraped; None is not a number."""


class NodeMetrics:
    """Implements the pipeline's `Observer` and the page `/metrics`."""

    def __init__(self, version: str) -> None:
        """Make a registry of its own."""
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "kanhe_verifications", "Answers by scene, decision and reason.",
            ("scene", "decision", "reason"), registry=self._registry,
        )
        self._stages = Histogram(
            "kanhe_stage_seconds", "Time of the stages of a verification.", ("stage",),
            buckets=_BUCKETS_S, registry=self._registry,
        )
        self._problems = Counter(
            "kanhe_http_problems", "Calls that had no verdict, by status.", ("status",),
            registry=self._registry,
        )
        build = Gauge("kanhe_build_info", "Version of the node.", ("version",),
                      registry=self._registry)
        build.labels(version).set(1)
        # Children are looked up once; finding one by labels costs more than counting.
        self._answer_children: dict[tuple[str, str, str], Counter] = {}
        self._stage_children: dict[str, Histogram] = {}

    def gauges(self, read: Gauges) -> None:
        """Add gauges by name: see `Gauges`."""
        for name, (help_, function) in read.items():
            Gauge(name, help_, registry=self._registry).set_function(_numeric(function))

    def observed(self, record: VerificationRecord, timings_ms: Mapping[str, float]) -> None:
        """Count an answer and its stages."""
        key = (record.scene, record.decision, record.reason)
        child = self._answer_children.get(key)
        if child is None:
            child = self._answer_children[key] = self._answers.labels(*key)
        child.inc()
        for stage, ms in timings_ms.items():
            histogram = self._stage_children.get(stage)
            if histogram is None:
                histogram = self._stage_children[stage] = self._stages.labels(stage)
            histogram.observe(ms / 1e3)

    def problem(self, status: int) -> None:
        """Count a call without a verdict."""
        self._problems.labels(str(status)).inc()

    def page(self) -> bytes:
        """Give the text that Prometheus scrapes."""
        return generate_latest(self._registry)


def _numeric(function: Callable[[], float | None]) -> Callable[[], float]:
    def read() -> float:
        value = function()
        return float("nan") if value is None else float(value)

    return read
