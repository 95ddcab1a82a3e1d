"""Whether Redis is asked now, and why not.

- One failure opens it: later calls don't each wait for a server that doesn't answer. Only the
  keeper closes it, when Redis answers in time and holds what this node spent alone.
- The pause before the next try doubles while closings don't last, so that a server that comes and
  goes doesn't take the node with it.
"""

import logging
from typing import Literal

from edge.errors import OperatingError

State = Literal[
    "starting", "shared", "began_anew", "merging", "unreachable", "slow", "out_of_memory",
    "read_only", "denied", "foreign", "evicting", "refused", "clock_untrusted",
]
STATES: tuple[State, ...] = (
    "starting", "shared", "began_anew", "merging", "unreachable", "slow", "out_of_memory",
    "read_only", "denied", "foreign", "evicting", "refused", "clock_untrusted",
)
RETRY_FIRST_S = 0.2
RETRY_MAX_S = 5.0
LASTING_S = 10.0
"""A closing that lasted so long ends the doubling."""
_LOG = logging.getLogger(__name__)


class SiteFault(OperatingError):
    """Redis can't be used; `state` says in one word why, the message what to do."""

    def __init__(self, state: State, words: str) -> None:
        """Keep the state beside the words."""
        super().__init__(words)
        self.state = state


def no_info(field: str) -> SiteFault:
    """Say that Redis doesn't tell what the site's promise rests on."""
    return SiteFault(
        "denied", f"Redis refuses INFO, or leaves {field} out of it: allow this node's account "
        "INFO (+info), and don't rename it; without it nobody knows what Redis forgot")


class Circuit:
    """Open: Redis isn't asked. Times are the event loop's."""

    def __init__(self) -> None:
        """Begin open."""
        self.closed = False
        self.state: State = "starting"
        self.why = ""
        self.since_s = 0.0
        self._opened = 0

    def open(self, fault: SiteFault, now_s: float) -> bool:
        """Open for a fault; say whether it was closed."""
        was_closed = self.closed
        if was_closed and now_s - self.since_s > LASTING_S:
            self._opened = 0
        self.closed = False
        self._opened += 1
        if was_closed or self.state != fault.state:
            _LOG.warning("site.alone", extra={"state": fault.state, "why": str(fault)})
            self.since_s = now_s
        self.state, self.why = fault.state, str(fault)
        return was_closed

    def merging(self) -> None:
        """Redis answers again; what was spent alone is on its way."""
        if not self.closed:
            self.state = "merging"

    def close(self, now_s: float, merged: int) -> None:
        """Ask Redis from now on."""
        if not self.closed:
            self.closed, self.since_s = True, now_s
            _LOG.info("site.shared", extra={"merged": merged})
        self.state, self.why = "shared", ""

    @property
    def pause_s(self) -> float:
        """How long to wait before the next try."""
        return float(min(RETRY_MAX_S, RETRY_FIRST_S * 2.0 ** min(max(0, self._opened - 1), 16)))
