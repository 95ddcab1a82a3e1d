"""Calibrates the cohort anew when it has changed by more than a stated share.

- On a thread of its own; verifications go on with the calibration before, which is
  replaced by one assignment.
- Every renewal is journalled: which thresholds were in force when can be told later.
- Not here: the cohort (edge.cache.cohort) and the statistics (edge.hotpath.normalise).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection

from edge.errors import OperatingError
from edge.hotpath.normalise import IDENTITIES_MIN, Calibration, CohortView, calibrate

_LOG = logging.getLogger(__name__)
CHANGED_SHARE = 0.10
"""Of the identities; more changed rows than that make a calibration old."""
CHECK_S = 15.0
Note = Callable[[str, dict[str, str | int | float]], Awaitable[None]]


class Renewal:
    """Keeps one calibration in step with the cohort."""

    def __init__(
        self, *, cohort: Callable[[], CohortView], fmrs: Callable[[], Collection[float]],
        note: Note, now: Callable[[], float], check_s: float = CHECK_S,
    ) -> None:
        """Take what to calibrate.

        Args:
            cohort: Gives the newest view; called on the renewing thread too.
            fmrs: The rates that scenes ask for now.
            note: Journals an event.
            now: Unix seconds.
            check_s: Seconds between looks.
        """
        self._cohort, self._fmrs, self._note = cohort, fmrs, note
        self._now, self._check_s = now, check_s
        self._fitted: Calibration | None = None
        self._asked: frozenset[float] = frozenset()
        self._task: asyncio.Task[None] | None = None
        self.renewed_s: int | None = None

    @property
    def calibration(self) -> Calibration | None:
        """Give the one in force, None where the cohort is too small."""
        return self._fitted

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="kanhe-calibration")

    async def stop(self) -> None:
        """End looking; a calibration under way isn't put in force any more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def renew_if_due(self) -> bool:
        """Calibrate if the cohort or what scenes ask for has changed enough.

        Raises:
            JournalError: The event can't be journalled; the calibration before stays in force.
        """
        view, asked = self._cohort(), frozenset(self._fmrs())
        if len(view) < IDENTITIES_MIN:
            self._fitted = None
            return False
        before = self._fitted
        if before is not None and asked == self._asked:
            changed = view.version - before.version
            if changed <= CHANGED_SHARE * before.identities:
                return False
        loop = asyncio.get_running_loop()
        fitted = await loop.run_in_executor(None, calibrate, view, asked)
        now = self._now()
        await self._note("calibration.renewed", _detail(fitted))
        self._fitted, self._asked, self.renewed_s = fitted, asked, int(now)
        _LOG.info("calibration.renewed", extra=_detail(fitted))
        return True

    async def _run(self) -> None:
        while True:
            try:
                await self.renew_if_due()
            except OperatingError as error:
                _LOG.warning("calibration.failed", extra={"why": str(error)})
            except Exception:
                # A fault of ours must not end in thresholds that silently grow old.
                _LOG.exception("calibration.fault")
            await asyncio.sleep(self._check_s)


def _detail(calibration: Calibration) -> dict[str, str | int | float]:
    detail: dict[str, str | int | float] = {
        "identities": calibration.identities, "version": calibration.version,
    }
    for point in calibration.points:
        detail[f"threshold at FMR {point.fmr:g}"] = round(point.threshold, 4)
        detail[f"its interval at FMR {point.fmr:g}"] = (
            f"{point.threshold_low:.4f} to {point.threshold_high:.4f}")
    return detail
