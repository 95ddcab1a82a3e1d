"""How often a gate may call: a rate and a burst for each, so that one gate can't take all.

- The generic cell rate algorithm (ITU-T I.371 annex A): one number a gate, the time at which all it
  asked for so far would have been due.
- The node's configuration says how often any gate may; a gate's record may say another rate, within
  the node's bound, which protects the node whatever the record says.
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
        self, rate_per_s: float, burst: int, rate_max_per_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        refused: Callable[[str], None] | None = None,
    ) -> None:
        """Begin with nobody having called.

        Args:
            rate_per_s: Calls a second that a gate may make for ever.
            burst: Calls that it may make at once.
            rate_max_per_s: The most that a gate's record may set in place of `rate_per_s`.
            monotonic: Gives seconds.
            refused: Is told the gate of every call that was too many.
        """
        self._each_s = 1.0 / rate_per_s
        self._burst_s = (burst - 1) * self._each_s
        # A burst of so many seconds' calls, whatever the rate: a lower rate is a smaller burst.
        self._whole_s = burst * self._each_s
        self._rate_max_per_s = rate_max_per_s
        self._monotonic, self._refused = monotonic, refused
        self._due: dict[str, float] = {}

    def take(self, gate_id: str, rate_per_s: float | None = None, *, calls: int = 1) -> None:
        """Count calls of a gate.

        Args:
            gate_id: Whose calls they are.
            rate_per_s: What its record says, None where it says nothing.
            calls: How many.

        Raises:
            RateExceeded: They are too many; none of them counts.
        """
        each_s, burst_s = self._each_s, self._burst_s
        if rate_per_s is not None and rate_per_s > 0.0:
            each_s = 1.0 / min(rate_per_s, self._rate_max_per_s)
            burst_s = max(0.0, self._whole_s - each_s)
        now = self._monotonic()
        due = self._due.get(gate_id, now)
        late_s = max(due, now) + (calls - 1) * each_s - now - burst_s
        if late_s > 0.0:
            if self._refused is not None:
                self._refused(gate_id)
            raise RateExceeded("this gate calls more often than it may", late_s)
        self._due[gate_id] = max(due, now) + calls * each_s
