"""Background tasks: how one is ended."""

import asyncio
import contextlib


async def end_task(task: "asyncio.Task[object] | None") -> None:
    """Cancel a task and wait until it has ended; None is a task that was never begun.

    Raises:
        Exception: What the task itself ended with, if that was a fault.
    """
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
