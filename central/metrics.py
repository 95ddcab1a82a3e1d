"""The platform's metrics: the one owner of prometheus_client in this building."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class CentralMetrics:
    """Counts calls; gauges are read when scraped."""

    def __init__(self) -> None:
        """Make a registry of its own."""
        self._registry = CollectorRegistry()
        self._calls = Counter(
            "kanhe_central_calls", "Calls by route and status.", ("route", "status"),
            registry=self._registry,
        )

    def called(self, route: str, status: int) -> None:
        """Count one call; `route` is a pattern, never a path from outside."""
        self._calls.labels(route, str(status)).inc()

    def gauge(self, name: str, help_: str, read: Callable[[], float]) -> None:
        """Add a gauge."""
        Gauge(name, help_, registry=self._registry).set_function(read)

    def page(self) -> bytes:
        """Give the text that Prometheus scrapes."""
        return generate_latest(self._registry)
