"""Waiting for something to become so, and no longer than a bound that a test names."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
    """Ask again and again until it holds.

    Raises:
        TimeoutError: It didn't within the time.
    """
    async with asyncio.timeout(within_s):
        while not await holds():
            await asyncio.sleep(0.05)
