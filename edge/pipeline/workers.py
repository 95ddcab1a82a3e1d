"""Where blocking work runs: a few threads, and a bounded queue that is fair between gates.

- Work that can't finish by its deadline isn't begun: it is refused at once when the queue before it
  is too long, by the time that such work has been taking, and again when its turn comes.
- Gates take turns. When the queue is full, a gate with less in it displaces the last work of the
  gate with most, so a flood of one gate costs that gate alone.
- Codes and faces have pools of their own, so a code never waits behind a face; threads of faces
  also yield the processor to the event loop.
- Work whose client hung up and that hasn't begun is dropped.
"""

import asyncio
import contextlib
import math
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

from edge.config import Workers
from edge.errors import CapacityError
from edge.pipeline.calls import DeadlineMissed

_T = TypeVar("_T")
RETRY_AFTER_S = 1.0
LEARNING = 0.2
"""Weight of the newest work in the estimate of how long work takes."""
MARGIN = 1.25
"""By how much an estimate must fit: what just fits would be too late half of the time."""
FACE_NICENESS = 5


class _Job(NamedTuple):
    owner: str
    deadline_s: float
    work: Callable[[], Any]
    since_s: float
    future: "asyncio.Future[Any]"


class WorkerPool:
    """Runs blocking calls of one event loop."""

    def __init__(self, name: str, threads: int, waiting_max: int, niceness: int = 0) -> None:
        """Begin with no work.

        Args:
            name: Of its threads.
            threads: How many calls run at once.
            waiting_max: How many more may wait.
            niceness: How far its threads stand back behind the event loop's, 0 to 19.
        """
        self._executor = ThreadPoolExecutor(
            threads, name, initializer=_stand_back, initargs=(niceness,))
        self._threads, self._waiting_max = threads, waiting_max
        # Owners with waiting work, the next one's turn first.
        self._queues: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._waiting = self._running = 0
        self._takes_s = 0.0

    @property
    def waiting_max(self) -> int:
        """How many may wait."""
        return self._waiting_max

    @property
    def oldest_s(self) -> float:
        """How long the first of those that haven't begun has waited, seconds."""
        oldest = min((queue[0].since_s for queue in self._queues.values()), default=math.inf)
        return max(0.0, time.monotonic() - oldest)

    @property
    def waiting(self) -> int:
        """Calls that have not begun."""
        return self._waiting

    @property
    def takes_s(self) -> float:
        """Seconds that one call has been taking lately; 0 before the first."""
        return self._takes_s

    async def run(self, deadline_s: float, work: Callable[[], _T], owner: str = "") -> _T:
        """Run one call.

        Args:
            deadline_s: Monotonic time by which it must be done.
            work: Blocking and thread-safe.
            owner: The gate it is for; empty = the node's own, which displaces nobody.

        Raises:
            CapacityError: No room now, or too much before it to be done in time.
            DeadlineMissed: It couldn't begin in time.
        """
        self.check(deadline_s, owner)
        if self._full:
            self._displace(owner)
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(owner, deque()).append(_Job(
            owner, deadline_s, work, time.monotonic(), future))
        self._waiting += 1
        self._begin()
        return await future

    def check(self, deadline_s: float, owner: str = "") -> None:
        """Insist that work could be done in time now, before anything is spent on it.

        Raises:
            CapacityError: No room now, or too much before it to be done in time.
            DeadlineMissed: It couldn't begin in time.
        """
        now = time.monotonic()
        if now > deadline_s:
            raise DeadlineMissed("the work couldn't begin within the deadline")
        wait_s = self._wait_s(owner)
        if self._running and now + (wait_s + self._takes_s) * MARGIN > deadline_s:
            raise CapacityError("the node is too busy to do this in time", wait_s)
        if self._full and self._displaced(owner) is None:
            raise CapacityError("the node is at its capacity", max(wait_s, RETRY_AFTER_S))

    @property
    def _full(self) -> bool:
        return self._running >= self._threads and self._waiting >= self._waiting_max

    def _wait_s(self, owner: str) -> float:
        """Estimate how long new work of an owner would wait, gates taking turns."""
        mine = len(self._queues.get(owner, ()))
        before = sum(min(len(queue), mine + 1) for name, queue in self._queues.items()
                     if name != owner)
        busy = max(0, self._running - self._threads + 1)
        return (mine + before + busy) / self._threads * self._takes_s

    def _displaced(self, owner: str) -> "deque[_Job] | None":
        """Give the queue that an owner may displace work of, None if there is none."""
        most = max(self._queues, key=lambda name: len(self._queues[name]), default="")
        mine = len(self._queues.get(owner, ()))
        if not most or not owner or len(self._queues[most]) <= mine + 1:
            return None
        return self._queues[most]

    def _displace(self, owner: str) -> None:
        """Make room for an owner."""
        queue = self._displaced(owner)
        assert queue is not None, "check() found it"
        job = queue.pop()
        self._waiting -= 1
        if not job.future.done():
            job.future.set_exception(CapacityError(
                "other gates wait, and this one has the most work in the queue",
                max(self._wait_s(job.owner), RETRY_AFTER_S)))

    def _begin(self) -> None:
        """Begin what has its turn, as far as there are threads."""
        loop = asyncio.get_running_loop()
        while self._waiting and self._running < self._threads:
            job = self._next()
            if job.future.done():
                continue
            now = time.monotonic()
            # Alone it is tried even if the estimate is against it: estimates can be wrong.
            needed_s = self._takes_s * MARGIN if self._running else 0.0
            if now + needed_s > job.deadline_s:
                job.future.set_exception(
                    DeadlineMissed("the work couldn't begin within the deadline"))
                continue
            self._running += 1
            done = loop.run_in_executor(self._executor, job.work)
            done.add_done_callback(partial(self._ended, job, now))

    def _next(self) -> _Job:
        owner, queue = next(iter(self._queues.items()))
        job = queue.popleft()
        self._waiting -= 1
        if queue:
            self._queues.move_to_end(owner)
        else:
            del self._queues[owner]
        return job

    def _ended(self, job: _Job, begun_s: float, done: "asyncio.Future[Any]") -> None:
        self._running -= 1
        took_s = time.monotonic() - begun_s
        self._takes_s += (took_s - self._takes_s) * (LEARNING if self._takes_s else 1.0)
        error = None if done.cancelled() else done.exception()
        if not job.future.done():
            if done.cancelled():
                job.future.cancel()
            elif error is not None:
                job.future.set_exception(error)
            else:
                job.future.set_result(done.result())
        self._begin()

    def close(self) -> None:
        """Wait for what runs; drop what hasn't begun."""
        for queue in self._queues.values():
            for job in queue:
                job.future.cancel()
        self._queues.clear()
        self._waiting = 0
        self._executor.shutdown(wait=True, cancel_futures=True)


def open_pools(workers: Workers) -> tuple[WorkerPool, WorkerPool]:
    """Give the pools of codes and of faces."""
    return (
        WorkerPool("kanhe-code", workers.code_threads, workers.code_waiting_max),
        WorkerPool("kanhe-face", workers.face_threads, workers.face_waiting_max, FACE_NICENESS),
    )


def _stand_back(niceness: int) -> None:
    """Lower the priority of the present thread; Linux has one for each."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(),
                       os.getpriority(os.PRIO_PROCESS, 0) + niceness)
