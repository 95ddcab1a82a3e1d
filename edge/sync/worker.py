"""One thread for work that blocks, waited out when its caller is cancelled.

- Store and journal calls run here, so a busy verification pool never delays a
  revocation, and calls never overlap.
- A cancelled caller still waits for the call in flight: a store may be closed only
  when nobody is inside it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Worker:
    """Runs blocking calls one after the other."""

    def __init__(self, name: str) -> None:
        """Begin a thread on first use, with this name."""
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run a call on the thread and give what it returns."""
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._executor, partial(call, *args, **kwargs))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise

    def close(self) -> None:
        """End the thread; nothing is in flight when the callers are gone."""
        self._executor.shutdown(wait=True)
