"""What becomes of an answer beside being given: signals are counted, logged and journalled; traces.

- Journalling happens after the answer, in a task of its own; at most so many wait, and at most
  so many are journalled in a minute. All are counted.
- Traces (edge.tracing) where they are switched on.
- With log level `debug`, each answer is a line with its `verification_id`; nothing of the holder.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from edge.errors import OperatingError
from edge.protocol.journal import VerificationRecord
from edge.protocol.signals import EVENT_PREFIX
from edge.signals import Watch
from edge.tasks import end_task
from edge.trend import EVERY_S

if TYPE_CHECKING:
    from edge.tracing import Tracing

NOTES_WAITING_MAX = 32
NOTES_A_MINUTE_MAX = 60
_LOG = logging.getLogger(__name__)
_Note = Callable[[str, dict[str, str | int | float]], Awaitable[None]]


class Watching:
    """Sees every answer."""

    def __init__(
        self, note: _Note, signal: Callable[[str], None],
        sample: Callable[[float], None] = lambda _: None, tracing: "Tracing | None" = None,
    ) -> None:
        """Take the journal's note, what counts a signal by its name, takes a sample, traces."""
        self._note, self._signal, self._sample = note, signal, sample
        self._tracing = tracing
        self._watch = Watch()
        self._sampling: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._minute, self._noted = 0, 0

    def saw(self, record: VerificationRecord, timings_ms: Mapping[str, float]) -> None:
        """Take note of an answer."""
        if _LOG.isEnabledFor(logging.DEBUG):
            _LOG.debug("answer", extra={
                "verification_id": record.verification_id, "gate_id": record.gate_id,
                "scene": record.scene, "kind": record.kind, "decision": record.decision,
                "reason": record.reason,
                "ms": {stage: round(ms, 3) for stage, ms in timings_ms.items()}})
        if self._tracing is not None:
            self._tracing.saw(record, timings_ms)
        found = self._watch.saw(record)
        if found is None:
            return
        self._signal(found.name)
        minute = record.at_ms // 60_000
        if minute != self._minute:
            self._minute, self._noted = minute, 0
        if self._noted >= NOTES_A_MINUTE_MAX or len(self._tasks) >= NOTES_WAITING_MAX:
            return
        self._noted += 1
        event, detail = EVENT_PREFIX + found.name, found.detail()
        _LOG.warning(event, extra=detail)
        task = asyncio.get_running_loop().create_task(self._keep(event, detail))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def follow(self, app: web.Application) -> web.Application:
        """Let calls that belong to a trace be seen; give the application back."""
        if self._tracing is not None:
            app.middlewares.append(self._tracing.follow)
        return app

    def start(self) -> None:
        """Begin to take samples."""
        self._sampling = asyncio.get_running_loop().create_task(self._keep_sampling())

    async def stop(self) -> None:
        """End sampling, wait for what is being journalled, send the last traces."""
        await end_task(self._sampling)
        await self.settle()
        if self._tracing is not None:
            await self._tracing.stop()

    async def settle(self) -> None:
        """Wait for what is being journalled."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _keep_sampling(self) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(EVERY_S)
            now = loop.time()
            self._sample(now - last)
            last = now

    async def _keep(self, event: str, detail: dict[str, str | int | float]) -> None:
        try:
            await self._note(event, detail)
        except OperatingError as error:
            _LOG.error("signal.not_journalled", extra={"signal": event, "why": str(error)})
