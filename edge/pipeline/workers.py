"""Where blocking work runs: a few threads behind a bounded queue.

- Full means `CapacityError` at once, not later; work whose deadline has passed isn't
  begun; work whose client hung up and that hasn't begun is dropped.
- Codes and faces have pools of their own, so a code never waits behind a face.
"""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from edge.config import Workers
from edge.errors import CapacityError
from edge.pipeline.calls import DeadlineMissed

_T = TypeVar("_T")
RETRY_AFTER_S = 1.0


class WorkerPool:
    """Runs blocking calls."""

    def __init__(self, name: str, threads: int, waiting_max: int) -> None:
        """Begin with no work.

        Args:
            name: Of its threads.
            threads: How many calls run at once.
            waiting_max: How many more may wait.
        """
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._threads = threads
        self._inside_max = threads + waiting_max
        self._inside = 0
        self._since: dict[object, float] = {}

    @property
    def waiting_max(self) -> int:
        """How many may wait."""
        return self._inside_max - self._threads

    @property
    def oldest_s(self) -> float:
        """How long the first of those that haven't begun has waited, seconds."""
        return max(0.0, time.monotonic() - next(iter(list(self._since.values())), math.inf))

    @property
    def waiting(self) -> int:
        """Calls that have not begun."""
        return max(0, self._inside - self._threads)

    async def run(self, deadline_s: float, work: Callable[[], _T]) -> _T:
        """Run one call.

        Args:
            deadline_s: Monotonic time after which it isn't begun.
            work: Blocking and thread-safe.

        Raises:
            CapacityError: No room now.
            DeadlineMissed: It couldn't begin in time.
        """
        if self._inside >= self._inside_max:
            raise CapacityError("the node is at its capacity", RETRY_AFTER_S)
        self._inside += 1
        ticket = object()
        self._since[ticket] = time.monotonic()

        def begin() -> _T:
            self._since.pop(ticket, None)
            if time.monotonic() > deadline_s:
                raise DeadlineMissed("the work couldn't begin within the deadline")
            return work()

        future = asyncio.get_running_loop().run_in_executor(self._executor, begin)
        future.add_done_callback(lambda _: self._left(ticket))
        return await future

    def _left(self, ticket: object) -> None:
        self._since.pop(ticket, None)
        self._inside -= 1

    def close(self) -> None:
        """Wait for what runs; drop what hasn't begun."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def open_pools(workers: Workers) -> tuple[WorkerPool, WorkerPool]:
    """Give the pools for codes and for faces, so that neither waits for the other."""
    return (
        WorkerPool("kanhe-code", workers.code_threads, workers.code_waiting_max),
        WorkerPool("kanhe-face", workers.face_threads, workers.face_waiting_max),
    )
