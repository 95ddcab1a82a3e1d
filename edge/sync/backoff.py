"""Pauses between failed tries: doubling, bounded, spread, and ended early on a call.

- Spread between half and the whole of the pause, so that a fleet whose platform comes
  back doesn't arrive as one.
"""

import asyncio
import contextlib
from collections.abc import Callable

DOUBLINGS_MAX = 16


class Backoff:
    """Counts failures in a row and pauses accordingly."""

    def __init__(self, first_s: float, jitter: Callable[[], float]) -> None:
        """Begin without failures.

        Args:
            first_s: Pause after the first failure.
            jitter: Numbers in [0, 1).
        """
        self._first_s = first_s
        self._jitter = jitter
        self._woken = asyncio.Event()
        self.failures = 0

    def failed(self) -> None:
        """Count a failure."""
        self.failures += 1

    def reset(self) -> None:
        """Forget the failures: something worked."""
        self.failures = 0

    def delay_s(self, longest_s: float) -> float:
        """Give the next pause."""
        doublings = min(max(0, self.failures - 1), DOUBLINGS_MAX)
        whole = min(longest_s, self._first_s * 2.0**doublings)
        return whole * (0.5 + 0.5 * self._jitter())

    async def pause(self, longest_s: float) -> None:
        """Pause, unless or until somebody calls `wake`."""
        await wait_for(self._woken, self.delay_s(longest_s))

    def wake(self) -> None:
        """End the pause under way, or the next one. Called on the event loop."""
        self._woken.set()


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set, but no longer than this, and clear it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()
