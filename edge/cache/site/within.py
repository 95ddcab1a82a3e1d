"""Await an answer of Redis within its time.

- Time in which this process didn't run isn't Redis' doing: a timer that comes late gives the
  answer, which may lie there already, a moment more.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

STALL_S = 0.002
"""A timer that is late by more than this was kept waiting by this process."""
GRACE_S = 0.01
_T = TypeVar("_T")


async def within(seconds: float, call: Awaitable[_T]) -> _T:
    """Await for so many seconds at most; a moment longer where the timer itself came late.

    Raises:
        TimeoutError: It took longer.
    """
    loop = asyncio.get_running_loop()
    due_s = loop.time() + seconds
    async with asyncio.timeout(None) as limit:

        def late() -> None:
            now_s = loop.time()
            limit.reschedule(now_s + GRACE_S if now_s - due_s > STALL_S else now_s)

        timer = loop.call_at(due_s, late)
        try:
            return await call
        finally:
            timer.cancel()
