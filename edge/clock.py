"""The node's idea of time, and how far it can be believed.

- Trusted when the system clock is synchronised (the kernel says so) or within 2 s of
  the central platform's; else degraded.
- Not here: narrowing windows by it (that is a scene's policy).
"""

import ctypes
import time
from collections.abc import Callable
from typing import Literal

CENTRAL_SKEW_MAX_S = 2.0
KERNEL_ASKED_EVERY_S = 5.0
_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_TIMEX_BYTES = 256
_STATUS_OFFSET = 40
"""Of `status` in `struct timex` on 64-bit Linux (adjtimex(2))."""

State = Literal["trusted", "degraded", "untrusted"]


def kernel_synchronised() -> bool:
    """Ask the kernel whether something keeps the system clock in step."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = (ctypes.c_ubyte * _TIMEX_BYTES)()
        state = libc.adjtimex(ctypes.byref(buffer))
    except (OSError, AttributeError):
        return False
    status = int.from_bytes(bytes(buffer[_STATUS_OFFSET : _STATUS_OFFSET + 4]), "little")
    return bool(state >= 0 and state != _TIME_ERROR and not status & _STA_UNSYNC)


class SystemClock:
    """Implements the pipeline's `Clock`."""

    def __init__(
        self,
        central_skew_s: Callable[[], float | None],
        now: Callable[[], float] = time.time,
        synchronised: Callable[[], bool] = kernel_synchronised,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read time from `now`; `central_skew_s` gives the platform's clock minus ours."""
        self._now, self._skew, self._synchronised = now, central_skew_s, synchronised
        self._monotonic = monotonic
        self._asked = -KERNEL_ASKED_EVERY_S
        self._kernel = False

    def now_s(self) -> float:
        """Give Unix seconds."""
        return self._now()

    @property
    def state(self) -> State:
        """How far the time can be believed."""
        skew = self._skew()
        if skew is not None and abs(skew) <= CENTRAL_SKEW_MAX_S:
            return "trusted"
        at = self._monotonic()
        if at - self._asked >= KERNEL_ASKED_EVERY_S:
            self._asked, self._kernel = at, self._synchronised()
        return "trusted" if self._kernel else "degraded"
