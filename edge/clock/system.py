"""The running node's clock: reads what there is to read and asks edge.clock.judge.

- Judged anew a few times a second, and at once when the wall clock leaves the anchor: no
  verdict rests on a clock that was set since the last look.
- Calls come from the event loop; only `keep` may come from a worker thread.
- Not here: what a scene makes of a degraded clock (its policy).
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.clock.codes import VOTES_MIN, Codes
from edge.clock.judge import LEAP_S, Belief, Memory, Sighting, State, Word, look, resume
from edge.clock.kept import WordFile, keep_memory, load_memory
from edge.clock.kernel import KernelTime, anchor_s, read_boot_id, read_kernel

LOOK_EVERY_S = 0.25
KERNEL_EVERY_S = 5.0
_LOG = logging.getLogger(__name__)


class ClockDetail(msgspec.Struct, frozen=True, kw_only=True):
    """The clock as `/v1/status` shows it.

    Attributes:
        state, why: How far it is believed, and the reason in words.
        vouched_by: Witnesses for it.
        kernel_error_s_max: The kernel's bound of its error, None = not synchronised.
        central_skew_s: Platform's clock minus ours, carried on by the anchor; None = never heard.
        codes_skew_s: The same of the median of holders' codes; None = too few.
        codes, codes_min: Credentials that have a vote, and how many it takes.
        leap_s: How far the clock is from where the anchor would have it.
        highest_s: Highest time ever believed, Unix seconds.
    """

    state: State
    why: str
    vouched_by: tuple[str, ...]
    kernel_error_s_max: float | None
    central_skew_s: float | None
    codes_skew_s: float | None
    codes: int
    codes_min: int
    leap_s: float
    highest_s: int


class SystemClock:
    """Implements the pipeline's `Clock`."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        kernel: Callable[[], KernelTime] = read_kernel,
        anchor: Callable[[], float] = anchor_s,
        folder: Path | None = None,
        boot_id: str | None = None,
    ) -> None:
        """Take up what the run before knew.

        Args:
            now: Unix seconds.
            kernel: Asks the kernel.
            anchor: Seconds that nobody sets.
            folder: Where the memory is kept; None = nowhere.
            boot_id: Of the machine's run; None = ask.
        """
        self._now, self._anchor, self._ask_kernel = now, anchor, kernel
        self._folder = folder
        self._word = WordFile(folder) if folder else None
        self._codes = Codes()
        self._kernel, self._kernel_at = KernelTime(), float("-inf")
        self._central: Word | None = None
        self._person: Word | None = None
        kept = load_memory(folder) if folder else Memory()
        boot_id = read_boot_id() if boot_id is None else boot_id
        self._memory = resume(kept, boot_id)
        self._looked_at, self._offset = float("-inf"), 0.0
        self._belief: Belief | None = None

    def now_s(self) -> float:
        """Give Unix seconds."""
        return self._now()

    @property
    def state(self) -> State:
        """How far the time can be believed."""
        return self.look().state

    @property
    def highest_s(self) -> float:
        """The highest time that was ever believed, Unix seconds."""
        return self._memory.highest_s

    def saw(self, credential_id: bytes, step: int) -> None:
        """Hear a genuine code (its MAC held) of a credential."""
        self._codes.saw(credential_id, step, self._anchor())

    def heard_central(self, skew_s: float | None) -> None:
        """Hear the platform's clock minus ours as just measured; None = it couldn't be."""
        if skew_s is not None:
            anchor = self._anchor()
            self._central = Word(self._now() + skew_s - anchor, anchor)
            self._looked_at = float("-inf")

    def recover(self) -> None:
        """Judge nothing before somebody vouches: what was spent isn't remembered."""
        self._memory = resume(self._memory, self._memory.boot_id, guard_forgot=True)
        self._looked_at = float("-inf")

    def look(self) -> Belief:
        """Look at the clock, unless that was just done and it went on evenly since."""
        anchor = self._anchor()
        wall = self._now()
        leapt = abs(wall - anchor - self._offset) > LEAP_S / 2
        before = self._belief
        if before is not None and not leapt and anchor - self._looked_at < LOOK_EVERY_S:
            return before
        if leapt or anchor - self._kernel_at >= KERNEL_EVERY_S:
            self._kernel_at, self._kernel = anchor, self._ask_kernel()
            if self._word is not None:
                self._person = self._word.word(self._memory.boot_id)
        self._looked_at, self._offset = anchor, wall - anchor
        self._memory, self._belief = look(self._memory, Sighting(
            wall_s=wall, anchor_s=anchor, kernel=self._kernel, central=self._central,
            codes=self._codes.word(anchor), person=self._person))
        if before is not None and self._belief.state != before.state:
            _LOG.log(logging.INFO if self._belief.state == "trusted" else logging.WARNING,
                     "clock.changed", extra={"to": self._belief.state, "why": self._belief.why})
        return self._belief

    def keep(self) -> None:
        """Put down what a restart must know; a failure is logged, the next call tries again."""
        if self._folder is None:
            return
        try:
            keep_memory(self._folder, self._memory)
        except OSError as error:
            _LOG.warning("clock.not_kept", extra={"why": error.strerror})

    def detail(self) -> ClockDetail:
        """Say how it stands with the clock."""
        belief = self.look()
        anchor, kernel = self._anchor(), self._kernel
        ours = self._now() - anchor
        codes = self._codes.word(anchor)
        return ClockDetail(
            state=belief.state, why=belief.why, vouched_by=belief.vouched_by,
            kernel_error_s_max=round(kernel.error_s_max, 3) if kernel.synchronised else None,
            central_skew_s=_beyond(self._central, ours), codes_skew_s=_beyond(codes, ours),
            codes=len(self._codes), codes_min=VOTES_MIN, leap_s=belief.leap_s,
            highest_s=int(self._memory.highest_s),
        )


def _beyond(word: Word | None, ours: float) -> float | None:
    return None if word is None else round(word.offset_s - ours, 3)
