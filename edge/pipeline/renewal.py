"""Calibrates the cohort anew when it has changed by more than a stated share.

- On a thread of its own; verifications go on with the calibration before, which is
  replaced by one assignment.
- Every renewal is journalled: which thresholds were in force when can be told later.
- Not here: the cohort (edge.cache.cohort) and the statistics (edge.hotpath.normalise).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from edge.hotpath.normalise import IDENTITIES_MIN, Calibration, CohortView, calibrate

_LOG = logging.getLogger(__name__)
CHANGED_SHARE = 0.10
"""Of the identities; more changed rows than that make a calibration old."""
Note = Callable[[str, dict[str, str | int | float]], Awaitable[None]]


class Renewal:
    """Keeps one calibration in step with the cohort."""

    def __init__(
        self, *, cohort: Callable[[], CohortView], fmrs: Callable[[], Collection[float]],
        note: Note, now: Callable[[], float],
    ) -> None:
        """Take what to calibrate.

        Args:
            cohort: Gives the newest view.
            fmrs: The rates that scenes ask for now.
            note: Journals an event.
            now: Unix seconds.
        """
        self._cohort, self._fmrs, self._note = cohort, fmrs, note
        self._now = now
        self._fitted: Calibration | None = None
        self._asked: frozenset[float] = frozenset()
        self.renewed_s: int | None = None

    @property
    def calibration(self) -> Calibration | None:
        """Give the one in force, None where the cohort is too small."""
        return self._fitted

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


def _detail(calibration: Calibration) -> dict[str, str | int | float]:
    detail: dict[str, str | int | float] = {
        "identities": calibration.identities, "version": calibration.version,
    }
    for point in calibration.points:
        detail[f"threshold at FMR {point.fmr:g}"] = round(point.threshold, 4)
        detail[f"its interval at FMR {point.fmr:g}"] = (
            f"{point.threshold_low:.4f} to {point.threshold_high:.4f}")
    return detail
