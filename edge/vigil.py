"""Watches over what a node that is left alone must notice: its clock, and the end of its keys.

- A change of the clock's state and the approaching end of the keys are logged and journalled, once
  each; after a restart once more.
- The clock's memory is put down here, so that a restart with the clock set back is noticed.
- Not here: what a verdict makes of the clock (the scene's policy), or getting new keys.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from edge.clock import SystemClock
from edge.errors import OperatingError
from edge.protocol.steps import DAY_S
from edge.tasks import end_task

if TYPE_CHECKING:  # pages import this module before the folder of compiled kernels is known
    from edge.hotpath.trust import Trust

KEYS_ENDING_DAYS = (14, 7, 3, 1)
"""Warnings before the last key epoch ends, as far as keys are held that long at all."""
LOOK_EVERY_S = 1.0
KEEP_EVERY_S = 30.0
_LOG = logging.getLogger(__name__)

Note = Callable[[str, dict[str, str | int | float]], Awaitable[None]]


class KeysEnd(msgspec.Struct, frozen=True, kw_only=True):
    """When the keys that are held end.

    Attributes:
        ends_s: Unix seconds after which no code can be judged; None = none are held for today.
        left_s: Seconds until then, at least 0.
        within_days: The nearest of `KEYS_ENDING_DAYS` that it is within; None = far enough.
    """

    ends_s: int | None
    left_s: int
    within_days: int | None


def keys_end(key_epochs: tuple[int, ...], now: float, days_ahead: int) -> KeysEnd:
    """Say when the run of days that holds today ends.

    Args:
        key_epochs: Days whose keys are held, ascending.
        now: Unix seconds.
        days_ahead: How many coming days the node asks for; a warning that lies further ahead
            would always hold.
    """
    day = int(now // DAY_S)
    held = set(key_epochs)
    while day in held:
        day += 1
    ends_s = day * DAY_S if int(now // DAY_S) in held else None
    left_s = max(0, int(ends_s - now)) if ends_s else 0
    within = [days for days in KEYS_ENDING_DAYS if days <= days_ahead and left_s < days * DAY_S]
    return KeysEnd(ends_s=ends_s, left_s=left_s, within_days=min(within, default=None))


class Vigil:
    """Looks every second. Lives once: start, stop."""

    def __init__(
        self, *, clock: SystemClock, trust: Callable[[], "Trust"], note: Note, days_ahead: int
    ) -> None:
        """Wire up; nothing runs before `start`."""
        self._clock, self._trust, self._note = clock, trust, note
        self._days_ahead = days_ahead
        self._state = ""
        self._warned: int | None = None
        self._kept_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    @property
    def keys(self) -> KeysEnd:
        """When the keys end."""
        return keys_end(self._trust().keys.key_epochs, self._clock.now_s(), self._days_ahead)

    def start(self) -> None:
        """Begin to look; on the event loop."""
        self._task = asyncio.create_task(self._run(), name="kanhe-vigil")

    async def stop(self) -> None:
        """End looking, and put down what is known."""
        task, self._task = self._task, None
        await end_task(task)
        await asyncio.get_running_loop().run_in_executor(None, self._clock.keep)

    async def look(self) -> None:
        """Notice what has changed since the last look."""
        await self._look_at_clock()
        if self._clock.look().state != "untrusted":
            await self._look_at_keys()

    async def _look_at_clock(self) -> None:
        belief = self._clock.look()
        if belief.state != self._state:
            self._state = belief.state
            await self._write(
                "clock.changed", {"state": belief.state, "why": belief.why[:400]})

    async def _look_at_keys(self) -> None:
        keys = self.keys
        if keys.within_days is None:
            self._warned = None
        elif self._warned is None or keys.within_days < self._warned:
            self._warned = keys.within_days
            _LOG.warning("keys.ending", extra={
                "within_days": keys.within_days, "left_s": keys.left_s})
            await self._write("keys.ending", {
                "within_days": keys.within_days, "left_s": keys.left_s,
                "ends_s": keys.ends_s or 0})

    async def _write(self, event: str, detail: dict[str, str | int | float]) -> None:
        """Journal an event; a journal that fails says so itself."""
        with contextlib.suppress(OperatingError):
            await self._note(event, detail)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self.look()
                if loop.time() - self._kept_at >= KEEP_EVERY_S:
                    self._kept_at = loop.time()
                    await loop.run_in_executor(None, self._clock.keep)
            except Exception:
                # A fault of ours must not end the watch in silence.
                _LOG.exception("vigil.fault")
            await asyncio.sleep(LOOK_EVERY_S)
