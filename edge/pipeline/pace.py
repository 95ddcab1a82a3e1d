"""How often a gate may call: a rate and a burst for each, so that one gate can't take all.

- The generic cell rate algorithm (ITU-T I.371 annex A): one number a gate, the time at which all it
  asked for so far would have been due.
- Kept for authenticated gates only, so strangers cost nothing here.
"""

import time
from collections.abc import Callable

from edge.errors import CapacityError


class RateExceeded(CapacityError):
    """429: this gate calls more often than it may."""


class GatePace:
    """The pace of all gates."""

    def __init__(
        self, rate_per_s: float, burst: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with nobody having called.

        Args:
            rate_per_s: Calls a second that a gate may make for ever.
            burst: Calls that it may make at once.
            monotonic: Gives seconds.
        """
        self._each_s = 1.0 / rate_per_s
        self._burst_s = (burst - 1) * self._each_s
        self._monotonic = monotonic
        self._due: dict[str, float] = {}

    def take(self, gate_id: str, calls: int = 1) -> None:
        """Count calls of a gate.

        Raises:
            RateExceeded: They are too many; none of them counts.
        """
        now = self._monotonic()
        due = self._due.get(gate_id, now)
        late_s = max(due, now) + (calls - 1) * self._each_s - now - self._burst_s
        if late_s > 0.0:
            raise RateExceeded("this gate calls more often than it may", late_s)
        self._due[gate_id] = max(due, now) + calls * self._each_s
