"""Waits until a moment, to within some 50 µs, without spinning.

- Event loops wake to the millisecond, which would stand in every latency; Linux' timerfd
  (timerfd_create(2)) wakes them exactly.
- Where there is none, the loop's own timer serves, and its lateness shows in the report.
"""

import asyncio
import contextlib
import ctypes
import os
import time

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_SPEC = ctypes.c_long * 4


class Pacer:
    """One timer of one running loop."""

    def __init__(self) -> None:
        """Make the timer."""
        self._loop = asyncio.get_running_loop()
        self._due: asyncio.Future[None] | None = None
        self._fd = -1
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            flags = os.O_NONBLOCK | os.O_CLOEXEC
            self._fd = int(self._libc.timerfd_create(_CLOCK_MONOTONIC, flags))
        except (OSError, AttributeError):
            return
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._fired)

    async def until(self, at_s: float) -> None:
        """Return at a time of the monotonic clock, at once if it has passed."""
        left = at_s - time.monotonic()
        if left <= 0.0:
            return
        if self._fd < 0:
            await asyncio.sleep(left)
            return
        self._due = self._loop.create_future()
        whole = int(at_s)
        spec = _SPEC(0, 0, whole, int((at_s - whole) * 1e9))
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, spec, None)
        await self._due

    def close(self) -> None:
        """Give the timer back."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _fired(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)
        if self._due is not None and not self._due.done():
            self._due.set_result(None)
