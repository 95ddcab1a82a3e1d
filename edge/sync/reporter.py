"""Tells the central platform now and then how the node is.

- Nothing depends on it: a report that can't be made or doesn't arrive is made anew a moment later.
"""

import asyncio
import logging
from collections.abc import Callable

from edge.errors import OperatingError
from edge.protocol.report import NodeReport
from edge.sync.absent import AbsentCentral
from edge.sync.client import CentralClient
from edge.tasks import end_task

REPORT_EVERY_S = 15.0
_LOG = logging.getLogger(__name__)


class Reporter:
    """Sends reports. Lives once: start, stop."""

    def __init__(
        self, client: CentralClient | AbsentCentral, report: Callable[[], NodeReport],
        every_s: float = REPORT_EVERY_S,
    ) -> None:
        """Take whom to tell, what, and how often in seconds."""
        self._client, self._report, self._every_s = client, report, every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        task, self._task = self._task, None
        await end_task(task)

    async def _run(self) -> None:
        while True:
            try:
                await self._client.report(self._report())
            except OperatingError as error:
                _LOG.debug("report.failed", extra={"why": str(error)})
            except Exception:
                # A fault of ours must not end the reporting in silence, nor the node's stop.
                _LOG.exception("report.fault")
            await asyncio.sleep(self._every_s)
