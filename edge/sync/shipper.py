"""Shipping the journal: in order, bounded, from what is acknowledged, until it is held.

- A record counts as shipped when this node sent it and the platform answered for it;
  what the platform says beyond that moves nothing.
- A gap (409, `next` before what was sent) rewinds to what the platform holds; nothing
  is ever skipped. What was sent already is compared there, not doubled.
- If the platform holds other content (409 otherwise), the histories differ: shipping
  stands still, says so, and tries again slowly; the journal keeps everything.
- What arrived is counter-signed: a checkpoint goes up once its records are held there, and the
  platform's signature is kept. A checkpoint that it refuses is a history that differs, too.
- A kill of either side costs at most one upload sent again.
- Not here: writing, sealing and retiring records (edge.audit).
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Literal

import msgspec

from edge.errors import CentralError, OperatingError
from edge.protocol.journal import (
    RECORD_BYTES_MAX,
    UPLOAD_BYTES_MAX,
    UPLOAD_RECORDS_MAX,
    JournalUpload,
)
from edge.sync.backoff import Backoff, wait_for
from edge.sync.ports import Central, CentralRefused, JournalSource, ShipAnswer
from edge.sync.worker import Worker
from edge.tasks import end_task

_LOG = logging.getLogger(__name__)

ShipState = Literal["idle", "shipping", "waiting", "diverged"]


class JournalDiverged(CentralError):
    """The platform holds other records of this log than the node does."""


class ShipperOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of shipping.

    Attributes:
        records_max, bytes_max: Of one upload, before the envelope around it.
        poll_s: How often to look for new records when nobody calls `wake`.
        retry_first_s, retry_max_s: Pause after the first failure, and the longest.
        diverged_max_s: Longest pause when histories differ or the node is refused.
    """

    records_max: int = UPLOAD_RECORDS_MAX
    bytes_max: int = UPLOAD_BYTES_MAX - RECORD_BYTES_MAX - 8 * UPLOAD_RECORDS_MAX
    poll_s: float = 1.0
    retry_first_s: float = 0.2
    retry_max_s: float = 10.0
    diverged_max_s: float = 60.0


class ShipperStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How shipping goes: the platform holds every record before `acknowledged` of `size`."""

    state: ShipState
    acknowledged: int
    size: int
    last_error: str


class Shipper:
    """Keeps the platform's copy of the journal in step. Lives once: start, stop."""

    def __init__(
        self,
        *,
        central: Central,
        journal: JournalSource,
        options: ShipperOptions | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Wire up; nothing runs before `start`."""
        self._central = central
        self._journal = journal
        self._options = options or ShipperOptions()
        self._worker = Worker("kanhe-ship")
        self._backoff = Backoff(self._options.retry_first_s, jitter)
        self._new = asyncio.Event()
        self._next = 0
        self._state: ShipState = "idle"
        self._last_error = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def status(self) -> ShipperStatus:
        """How shipping goes."""
        return ShipperStatus(
            state=self._state, acknowledged=self._journal.acknowledged,
            size=self._journal.size, last_error=self._last_error)

    async def start(self) -> None:
        """Begin to ship from what is acknowledged."""
        assert self._task is None, "already started"
        self._next = self._journal.acknowledged
        self._task = asyncio.create_task(self._run(), name="kanhe-ship")

    async def stop(self) -> None:
        """End shipping; when this returns, nobody reads the journal on its behalf."""
        task, self._task = self._task, None
        await end_task(task)
        self._worker.close()

    def wake(self) -> None:
        """Ship now: there are new records. Called on the event loop.

        A pause after a failure isn't ended by it: new records don't mend a network.
        """
        self._new.set()

    async def _run(self) -> None:
        while True:
            try:
                moved = await self._turn()
            except OperatingError as error:
                await self._backoff.pause(self._failed(error))
            except Exception as error:
                # A fault of ours must not end shipping in silence.
                _LOG.exception("journal.fault")
                await self._backoff.pause(self._failed(error))
            else:
                if not moved:
                    await wait_for(self._new, self._options.poll_s)

    async def _turn(self) -> bool:
        """Ship one upload; give whether there was one."""
        size = self._journal.size
        if self._next > size:
            raise JournalDiverged(
                f"the platform acknowledged {self._next} records of log {self._journal.log}, this "
                f"folder holds {size}: was it restored from an older copy? Nothing is skipped; an "
                "administrator must look at both journals")
        if self._next == size:
            await self._countersign()
            self._state, self._last_error = "idle", ""
            self._backoff.reset()
            return False
        records = await self._worker.run(
            self._journal.read, self._next, self._options.records_max, self._options.bytes_max)
        if not records:
            return False
        if self._state == "idle":
            self._state = "shipping"
        upload = JournalUpload(log=self._journal.log, first=self._next, records=tuple(records))
        answer = await self._central.ship(upload)
        if answer.conflict:
            self._rewind(upload, answer)
            return True
        await self._settle(upload, answer)
        await self._countersign()
        return True

    async def _settle(self, upload: JournalUpload, answer: ShipAnswer) -> None:
        """Take over the platform's word for the records that it was just sent."""
        held = min(answer.next, upload.first + len(upload.records))
        if held <= upload.first:
            raise CentralError(
                f"the platform took none of {len(upload.records)} records from {upload.first} on")
        if held > self._journal.acknowledged:
            await self._worker.run(self._journal.acknowledge, held)
        self._next = held
        self._state, self._last_error = "shipping", ""
        self._backoff.reset()

    async def _countersign(self) -> None:
        """Have the platform sign what it holds, where a checkpoint waits for it."""
        point = self._journal.uncountersigned()
        if point is None:
            return
        answer = await self._central.countersign(point)
        if answer.countersignature is not None:
            await self._worker.run(
                self._journal.keep_countersignature, point, answer.countersignature)
        elif answer.held < point.size:
            self._next = max(0, answer.held)
            raise CentralError(
                f"the platform holds {answer.held} records only: shipping again from there")
        else:
            raise JournalDiverged(
                f"the platform refused to counter-sign the first {point.size} records of log "
                f"{point.log}: it holds others. An administrator must look at both journals")

    def _rewind(self, upload: JournalUpload, answer: ShipAnswer) -> None:
        """Go back to what the platform holds; it lost some, or an answer was lost."""
        if not 0 <= answer.next < upload.first:
            raise JournalDiverged(
                f"the platform refused records {upload.first} to "
                f"{upload.first + len(upload.records) - 1} of log {upload.log}: it holds "
                f"{answer.next}, and other content. Was this node's data folder restored or "
                "copied? Nothing is skipped; an administrator must look at both journals")
        self._next = answer.next
        raise CentralError(
            f"the platform holds {answer.next} records only: shipping again from there")

    def _failed(self, error: Exception) -> float:
        """Take note of a failed turn and give the longest pause it deserves."""
        self._backoff.failed()
        words = str(error) if isinstance(error, OperatingError) else "internal fault"
        if words != self._last_error:
            _LOG.warning("journal.waiting", extra={"why": words, "next": self._next})
        self._last_error = words
        self._state = "diverged" if isinstance(error, JournalDiverged) else "waiting"
        slow = isinstance(error, JournalDiverged | CentralRefused)
        return self._options.diverged_max_s if slow else self._options.retry_max_s
