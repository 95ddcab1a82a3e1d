"""The clock of nodes in benchmarks: looks as any node's does, and is believed whatever it finds.

Benchmarks make their codes ahead of time, which a node takes for a wrong clock.
"""

from edge.clock import SystemClock
from edge.clock.judge import State


class BelievedClock(SystemClock):
    """Costs what a clock costs."""

    @property
    def state(self) -> State:
        """Look, and say that all is well."""
        self.look()
        return "trusted"
